"""The product wing: plain Python over frames and DuckDB relations.

Belongs here: everything that can run in a notebook, a service or a batch alike. Does not belong here: Dagster, which
only `assets/`, `sensors/`, `resources/` and `definitions.py` know.
"""
