"""The state store: what the service and the stream write, in SQLite files. It knows no domain."""
