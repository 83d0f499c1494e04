"""Routes that answer with JSON: one module per domain, health and the documentation."""
