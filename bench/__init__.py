"""Benchmarks: `make bench NAME=…` runs one beside its comparator and prints a table.

Timed limits live here and not in the tests, because machines differ. Each module is one benchmark with a `main`.
"""
