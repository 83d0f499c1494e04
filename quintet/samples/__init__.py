"""Seeded generators of every dataset, with the truth on the side. Nothing here reads a warehouse."""
