"""The error that rejects a file."""


class FileRejectedError(Exception):
    """A file cannot be read as its dataset; the message says what is wrong, where, and how to fix it."""
