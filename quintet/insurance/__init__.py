"""Insurance: how agencies perform by product, state and year. No other domain is imported here."""
