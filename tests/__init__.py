"""Tests: unit/ mirrors the source, integration/ runs the product end to end, faults/ disturbs it."""
