"""Conversions: an affiliate's clicks matched to a broker's rows. No other domain is imported here."""
