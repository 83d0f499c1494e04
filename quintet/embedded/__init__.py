"""Servers that Quintet brings along: PostgreSQL and an S3 API, from packages, in a folder.

Belongs here: starting, stopping and finding them. What is kept in them does not belong here.
"""
