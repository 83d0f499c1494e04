"""The online store: what the service and the stream write, in one SQLite file. A leaf: it knows no domain."""
