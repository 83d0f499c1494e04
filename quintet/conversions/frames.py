"""The names of the frames that dbt counts for the analysis; each is a model `conversion_*` of the schema ml.

A module of its own: Dagster's definitions import it without the modules that compute.
"""

COUNTED = ("funnel", "outcomes", "data_quality", "scores", "lags")
"""Frames that the analysis uses unchanged."""

COUNTS = ("cells", "residency_counts", "residency_case_counts", "session_counts")
"""Counts from which the other frames are computed."""
