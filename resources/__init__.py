"""The outside world as Dagster sees it: the warehouse, the inboxes, dbt, the clock.

Thin: each resource hands settings to a function of `quintet`. No asset or sensor is imported here.
"""
