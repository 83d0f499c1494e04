"""Replication: a process that writes PostgreSQL's change stream to the change log and applies it to the features."""
