"""Quote names and texts for SQL statements."""

from __future__ import annotations


def quote_identifier(name: str) -> str:
    """Return `name` as a quoted SQL identifier; any text is safe."""
    return '"' + name.replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    """Return the SQL string literal for `text`."""
    return "'" + text.replace("'", "''") + "'"
