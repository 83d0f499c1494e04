"""Dagster resources: the warehouse, the inboxes, dbt, the clock.

Each resource only passes settings to a function of `quintet`. No asset or sensor is imported here.
"""
