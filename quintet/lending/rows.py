"""Read the rows of the loan book: convert the columns that features read, exactly, or say why that is impossible."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from quintet.change_log.change import Row
from quintet.lending.contract import TABLES
from quintet.replicated import Kind

_DAY = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00)?)?")
_INTEGER = re.compile(r"-?\d+(?:\.0*)?")
_LOST_CHARACTER = "\ufffd"


class UnreadableRowError(ValueError):
    """A row has a value that features cannot read; the message names column and value."""


def key_of(row: Row | None) -> str | None:
    """Return the key of a row; None if it is not there."""
    return None if row is None or row.get("id") is None else str(row["id"])


def columns_of(table: str, row: Row | None) -> Row | None:
    """Return the columns that features read of a row that `read_row` returned."""
    return None if row is None else {name: row[name] for name in TABLES[table]}


def read_row(table: str, row: Row) -> dict[str, Any]:
    """Return a row with the columns that features read as numbers, finite; texts; and days, ISO.

    Other columns stay as they are. Times count as their day, UTC. Raises UnreadableRowError for a value that is not
    exactly one of these: an infinite date, a year that Python does not know, not a number, a decimal beyond a double's
    precision, a text in an unknown encoding, or a value that is not there.
    """
    found = dict(row)
    for column, kind in TABLES[table].items():
        if column not in row:
            raise UnreadableRowError(f"column {column} has no value in the log")
        value = row[column]
        if value is not None:
            try:
                found[column] = _READ[kind](value)
            except (ValueError, TypeError, InvalidOperation):
                raise UnreadableRowError(f"column {column} holds {str(value)[:40]!r}, {_WANTED[kind]}") from None
    return found


def read_columns(table: str, row: Row) -> dict[str, Any]:
    """Return the columns of a row that can be read, without the others."""
    found = {}
    for column, kind in TABLES[table].items():
        value = row.get(column)
        if value is not None:
            try:
                found[column] = _READ[kind](value)
            except (ValueError, TypeError, InvalidOperation):
                continue
    return found


def _integer(value: Any) -> int:
    if type(value) is int:
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value.partition(".")[0])
    raise ValueError


def _double(value: Any) -> float | int:
    if type(value) is float or type(value) is int:  # the decoder makes text of what is not finite
        return value
    exact = Decimal(value)
    number = float(exact)
    if not exact.is_finite() or Decimal(repr(number)) != exact:
        raise ValueError
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str) or _LOST_CHARACTER in value:
        raise ValueError
    return value


@lru_cache(maxsize=65_536)
def _date(value: str) -> str:
    found = _DAY.fullmatch(value)
    if found is None:
        raise ValueError
    return dt.date.fromisoformat(found[1]).isoformat()


_READ: Mapping[Kind, Callable[[Any], Any]] = {
    "integer": _integer,
    "double": _double,
    "varchar": _text,
    "date": _date,
}
_WANTED: Mapping[Kind, str] = {
    "integer": "which is no whole number",
    "double": "which is no number that a double holds exactly",
    "varchar": "which has characters that cannot be decoded",
    "date": "which is no day of the years 1 to 9999",
}
