"""Promotions: users, codes and their usages, and who abuses them. No other domain is imported here."""
