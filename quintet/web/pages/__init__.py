"""Routes that answer with HTML: the layout, one module per domain, signing in and errors."""
