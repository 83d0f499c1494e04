"""The HTTP API and the pages: one process that reads the published snapshot and the state store."""
