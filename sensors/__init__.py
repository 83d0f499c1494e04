"""What wakes the assets: files that arrive, the time of day, and runs that fail.

Thin: a sensor compares and requests; what to do stands in the assets.
"""
