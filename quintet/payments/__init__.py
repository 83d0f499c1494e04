"""Payments: transactions by minute, checkout sales by hour. No other domain is imported here."""
