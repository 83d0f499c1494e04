"""The names of the frames that dbt counts for the analysis; each is a model `conversion_*` of the schema ml.

A module of its own, because Dagster's definitions read it and load nothing that computes.
"""

COUNTED = ("funnel", "outcomes", "data_quality", "scores", "lags")
"""Frames of the analysis as they are."""

COUNTS = ("cells", "residency_counts", "residency_case_counts", "session_counts")
"""What the other frames are computed from."""
