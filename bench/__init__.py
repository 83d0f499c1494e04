"""Benchmarks: `python -m bench` lists them, `python -m bench NAME` runs one and prints a table beside its comparator.

Limits on time are here and not in the tests, because machines differ. Each module with a `main` is one benchmark.
"""
