"""The product end to end."""
