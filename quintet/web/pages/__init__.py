"""Routes that answer with HTML: the shell, one file a domain, signing in and errors."""
