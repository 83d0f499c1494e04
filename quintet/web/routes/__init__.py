"""Routes that answer with JSON: one file a domain, besides health and the documentation."""
