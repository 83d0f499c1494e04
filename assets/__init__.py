"""What exists and what it is made from: Dagster assets, a file per domain and one for each step that all share.

Thin: an asset opens a connection, calls a function of `quintet`, and says what came of it. No sensor is imported here.
"""
