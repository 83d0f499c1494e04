"""Delivery of the outbox's messages to programs outside. It knows no domain."""
