"""The DuckDB warehouse: open it, load batches into it, publish from it and read what was published.

A leaf: it knows nothing of the five domains; they hand their contracts in.
"""
