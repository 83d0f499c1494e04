"""What models of all domains share: the registry of saved versions, and statistics."""
