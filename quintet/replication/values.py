"""Decode the values of PostgreSQL's columns, binary or text, to the values of the change log."""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

_POSTGRES_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_FIRST_MICROSECOND = (dt.datetime(1, 1, 1, tzinfo=dt.UTC) - _POSTGRES_EPOCH) // dt.timedelta(microseconds=1)
_LAST_MICROSECOND = (dt.datetime.max.replace(tzinfo=dt.UTC) - _POSTGRES_EPOCH) // dt.timedelta(microseconds=1)
_DAYS_TO_2000 = dt.date(2000, 1, 1).toordinal()
_U32 = struct.Struct("!I")
_I32 = struct.Struct("!i")
_REAL = struct.Struct("!f")
_TEXT_TYPE = 25
UTF8, UNCHECKED_UTF8 = "utf-8", "utf_8"
"""Codecs: of a UTF-8 database, and of one that does not check the characters of its texts."""
DATE = 1082
FLOATS = (700, 701)
TEXTS = (18, 19, 25, 114, 1043)
_PADDED = 1042
_JSONB = 3802
FIXED = {
    20: struct.Struct("!q"),
    21: struct.Struct("!h"),
    23: _I32,
    26: _U32,
    700: struct.Struct("!f"),
    701: struct.Struct("!d"),
    DATE: _I32,
}
"""By PostgreSQL's number: types whose binary form has a fixed length."""
Decode = Callable[[bytes], Any]


class UnknownTypeError(ValueError):
    """A column has a type whose binary form is unknown; request its values as text."""


class Column(NamedTuple):
    """A column of a table: its type by PostgreSQL's number, and whether it belongs to the replica identity."""

    name: str
    type_number: int
    modifier: int
    is_key: bool


def timestamp_text(microseconds: int) -> str:
    """Format microseconds since 2000 as ISO text, UTC."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{_second_text(seconds)}.{rest:06d}Z"


def decoders(columns: tuple[Column, ...], binary: bool, codec: str = UTF8) -> list[tuple[str, Decode, Decode]]:
    """Return each column's name and the decoders of its binary and text forms. Raises UnknownTypeError."""
    found = []
    text = text_decoder(codec)
    for column in columns:
        as_binary = binary_decoder(column.type_number, text)
        if binary and as_binary is None:
            raise UnknownTypeError(f"column {column.name} has type {column.type_number}")
        found.append((column.name, as_binary or text, _from_text(column.type_number, text)))
    return found


def as_readable(column: Column) -> Column:
    """Return the column, or the column as text if its type is unknown."""
    is_known = binary_decoder(column.type_number, bytes.decode) is not None
    return column if is_known else column._replace(type_number=_TEXT_TYPE)


def text_decoder(codec: str) -> Decode:
    """Return the decoder of texts; PostgreSQL has checked the characters of a UTF-8 database."""
    if codec == UTF8:
        return bytes.decode

    def decode(data: bytes) -> str:
        return data.decode(codec, "replace")

    return decode


def binary_decoder(kind: int, text: Decode) -> Decode | None:
    """Return the decoder of a type's binary form; None for an unknown type."""
    if kind in TEXTS:
        return text
    if kind == _PADDED:
        return lambda data: text(data).rstrip(" ")
    if kind == _JSONB:
        return lambda data: text(data[1:])
    return _FROM_BINARY.get(kind)


def _from_text(kind: int, text: Decode) -> Decode:
    """Return the decoder of a type's text form."""
    if kind == _PADDED:
        return lambda data: text(data).rstrip(" ")
    return _FROM_TEXT.get(kind, text)


@lru_cache(maxsize=4096)
def _second_text(seconds: int) -> str:
    # not strftime, which writes the year 800 with three digits
    return (_POSTGRES_EPOCH + dt.timedelta(seconds=seconds)).isoformat()[:19]


def _date(data: bytes) -> str:
    return day_text(_I32.unpack(data)[0])


@lru_cache(maxsize=65_536)
def day_text(days: int) -> str:
    """Return days since 2000 as ISO text, or as another text for a day that ISO text does not have."""
    if days in (2**31 - 1, -(2**31)):
        return "infinity" if days > 0 else "-infinity"
    if not 1 <= _DAYS_TO_2000 + days <= dt.date.max.toordinal():
        return f"2000-01-01 {days:+d} days"  # PostgreSQL has years that ISO text does not
    return dt.date.fromordinal(_DAYS_TO_2000 + days).isoformat()


def _timestamp(data: bytes) -> str:
    (microseconds,) = struct.unpack("!q", data)
    if microseconds in (2**63 - 1, -(2**63)):
        return "infinity" if microseconds > 0 else "-infinity"
    if not _FIRST_MICROSECOND <= microseconds <= _LAST_MICROSECOND:
        return f"2000-01-01 {microseconds:+d} microseconds"  # as `day_text`
    return timestamp_text(microseconds).removesuffix("Z")


def _float(layout: struct.Struct) -> Decode:
    def read(data: bytes) -> float | str:
        (value,) = layout.unpack(data)
        return value if value - value == 0 else str(value)  # JSON has no NaN and no infinity

    return read


def _integer(layout: struct.Struct) -> Decode:
    unpack = layout.unpack
    return lambda data: unpack(data)[0]


def _numeric(data: bytes) -> str:
    digits, weight, sign, scale = struct.unpack_from("!HhHH", data)
    if sign in (0xC000, 0xD000, 0xF000):
        return {0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}[sign]
    groups = struct.unpack_from(f"!{digits}H", data, 8)
    number = "".join(f"{group:04}" for group in groups) or "0"
    value = Decimal((0, tuple(map(int, number)), 4 * (weight - digits + 1) if digits else 0))
    return f"{'-' if sign == 0x4000 else ''}{value:.{scale}f}"


def _text_real(data: bytes) -> float | str:
    """Return the same double as the binary form has."""
    (value,) = _REAL.unpack(_REAL.pack(float(data)))
    return value if value - value == 0 else str(value)


def _text_float(data: bytes) -> float | str:
    value = float(data)
    return value if value - value == 0 else str(value)


def _full_time(text: str) -> str:
    if "infinity" in text:
        return text
    day, _, clock = text.partition(" ")
    seconds, _, fraction = clock.partition(".")
    return f"{day}T{seconds}.{fraction:0<6}"


_FROM_BINARY: dict[int, Decode] = {
    16: lambda data: data != b"\0",
    20: _integer(struct.Struct("!q")),
    21: _integer(struct.Struct("!h")),
    23: _integer(struct.Struct("!i")),
    26: _integer(struct.Struct("!I")),
    700: _float(struct.Struct("!f")),
    701: _float(struct.Struct("!d")),
    1082: _date,
    1114: _timestamp,
    1184: lambda data: _timestamp(data) + ("Z" if data[0] not in (0x7F, 0x80) else ""),
    1700: _numeric,
    2950: lambda data: str(UUID(bytes=data)),
}
"""By PostgreSQL's number of the type: the decoder of its binary form to a JSON value. Texts: `binary_decoder`."""
_FROM_TEXT: dict[int, Decode] = {
    16: lambda data: data == b"t",
    20: int,
    21: int,
    23: int,
    26: int,
    700: _text_real,
    701: _text_float,
    1114: lambda data: _full_time(data.decode()),
    1184: lambda data: _full_time(data.decode().removesuffix("+00")) + ("" if b"inf" in data else "Z"),
}
"""The same for the text form, with the time zone of the connection at UTC."""
