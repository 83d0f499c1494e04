"""The DuckDB warehouse: open it, load batches into it, publish snapshots and read them.

It knows nothing of the five domains; callers pass the contracts of their datasets.
"""
