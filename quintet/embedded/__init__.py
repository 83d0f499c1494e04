"""Servers that Quintet brings along: PostgreSQL and an S3 API, from packages, in a folder."""
