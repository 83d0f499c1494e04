"""The DuckDB warehouse: open it, publish snapshots and read them. It has no table of any one domain."""
