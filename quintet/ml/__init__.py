"""What the models of all domains share: the model registry and statistics."""
