"""Lending: what a lender knows of a client, as it was known at any time."""
