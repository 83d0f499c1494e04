"""The change stream: a process that takes the log of PostgreSQL to the object store and to the features."""
