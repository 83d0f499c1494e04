"""Back up a home to one file while it is in use, and restore it."""
