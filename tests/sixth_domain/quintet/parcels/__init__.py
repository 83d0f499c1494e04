"""Parcels: how long carriers take. No other domain is imported here."""
