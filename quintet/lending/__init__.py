"""Lending: features, scoring and decisions from a lender's loan book."""
