"""Forget a person: erase the data of one person from a home, and keep it from being loaded again."""
