"""Insurance: the performance of agencies by product, state and year. No other domain is imported here."""
