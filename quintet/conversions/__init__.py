"""Conversions: an affiliate's conversions matched to a broker's rows. No other domain is imported here."""
