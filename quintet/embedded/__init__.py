"""Embedded servers: PostgreSQL and an S3 API, installed from packages, each in a folder."""
