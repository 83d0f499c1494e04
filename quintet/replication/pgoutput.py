"""Decode the messages of PostgreSQL's plug-in pgoutput (protocol 1, binary or text values) to changes."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from quintet.change_log.change import Change

_POSTGRES_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_DAYS_TO_2000 = dt.date(2000, 1, 1).toordinal()
_BEGIN = struct.Struct("!QqI")
_COMMIT = struct.Struct("!BQQq")
_U32 = struct.Struct("!I")
_U16 = struct.Struct("!H")
_I32 = struct.Struct("!i")
_COLUMN = struct.Struct("!Ii")
_TEXT_TYPE = 25
_make = tuple.__new__  # a named tuple without the detour over its own `__new__`
_BINARY, _TEXT, _NULL, _UNCHANGED = b"btnu"


class UnknownTypeError(ValueError):
    """A column has a type whose binary form is unknown; request its values as text."""


class ProtocolError(ValueError):
    """A message breaks the protocol; the error's message says which."""


class Column(NamedTuple):
    """A column of a table: its type by PostgreSQL's number, and whether it belongs to the replica identity."""

    name: str
    type_number: int
    modifier: int
    is_key: bool


@dataclass(frozen=True)
class Relation:
    """A table as the log announces it; `schema` names this version of its columns."""

    number: int
    namespace: str
    table: str
    identity: str
    columns: tuple[Column, ...]

    @property
    def schema(self) -> str:
        """Return a short digest of names and types."""
        text = json.dumps([(column.name, column.type_number, column.modifier) for column in self.columns])
        return hashlib.sha256(text.encode()).hexdigest()[:12]


class Begin(NamedTuple):
    """The start of a transaction; its changes follow, and then its commit."""

    commit_lsn: int
    committed_at: str


class Commit(NamedTuple):
    """The end of a transaction. end_lsn: where the log continues after it."""

    commit_lsn: int
    end_lsn: int


Message = Begin | Commit | Change | Relation | None


class Decoder:
    """Decodes the messages of one connection to changes. Tables are known from the messages that announce them.

    Raises UnknownTypeError if `binary` is on and a table has a column that can only be read as text.
    """

    def __init__(self, binary: bool) -> None:
        self._binary = binary
        self._relations: dict[bytes, _Known] = {}
        self._commit_lsn, self._committed_at, self._sequence = 0, "", 0

    def decode(self, data: bytes) -> list[Message]:
        """Decode one message, to none or several (a truncation may be of several tables)."""
        return self.decode_all([data])

    def decode_all(self, messages: Iterable[bytes], begin: int = 0) -> list[Message]:
        """Decode messages, in their order; `begin` is the offset of each within its bytes.

        Inserted rows are the most frequent, so they have a fast path.
        """
        found: list[Message] = []
        append, relations, place = found.append, self._relations, begin + 6
        for data in messages:
            if data[begin] != 0x49:  # I
                found += self._other(data[begin:] if begin else data)
                continue
            known = relations.get(data[begin + 1 : begin + 5]) or self._known(data[begin:])
            if data[begin + 5] != 0x4E:
                raise ProtocolError(f"insert without a new row, but {data[begin + 5 : place]!r}")
            _, table, schema, columns, read = known
            row = read(data, place) or _tuple(data, place, columns)[0]
            sequence = self._sequence
            self._sequence = sequence + 1
            fields = (self._commit_lsn, sequence, self._committed_at, table, "insert", schema, row, None, ())
            append(_make(Change, fields))
        return found

    def _other(self, data: bytes) -> list[Message]:  # noqa: PLR0911  # one for each kind
        kind = data[0]
        if kind == 0x55:  # U
            return [self._update(data)]
        if kind == 0x44:  # D
            known = self._known(data)
            old, _, _ = _tuple(data, 6, known.columns)
            return [self._change(known.table, "delete", known.schema, None, _sent_part(old, known.relation, data[5]))]
        if kind == 0x42:  # B
            self._commit_lsn, at, _ = _BEGIN.unpack_from(data, 1)
            self._committed_at, self._sequence = timestamp_text(at), 0
            return [Begin(self._commit_lsn, self._committed_at)]
        if kind == 0x43:  # C
            _, commit_lsn, end_lsn, _ = _COMMIT.unpack_from(data, 1)
            return [Commit(commit_lsn, end_lsn)]
        if kind == 0x52:  # R
            relation = _read_relation(data)
            columns = decoders(relation.columns, self._binary)
            number = _U32.pack(relation.number)
            read = row_reader(relation.columns)
            self._relations[number] = _Known(relation, relation.table, relation.schema, columns, read)
            return [relation]
        if kind == 0x54:  # T
            return [*self._truncate(data)]
        if kind in b"YOM":  # a type, an origin, a message: nothing about rows
            return []
        raise ProtocolError(f"unknown message {data[:1]!r}")

    def _update(self, data: bytes) -> Change:
        known = self._known(data)
        position, old, marker = 6, None, data[5]
        if marker in b"KO":
            before, _, position = _tuple(data, 6, known.columns)
            old = _sent_part(before, known.relation, marker)
            marker, position = data[position], position + 1
        if marker != 0x4E:
            raise ProtocolError(f"update without a new row, but {bytes([marker])!r}")
        whole = known.read(data, position)
        if whole is not None:
            return self._change(known.table, "update", known.schema, whole, old)
        row, unchanged, _ = _tuple(data, position, known.columns)
        if unchanged and old is not None:
            row |= {name: old[name] for name in unchanged if name in old}
            unchanged = [name for name in unchanged if name not in old]
        return self._change(known.table, "update", known.schema, row, old, tuple(unchanged))

    def _truncate(self, data: bytes) -> list[Change]:
        (count,) = _U32.unpack_from(data, 1)
        tables = [self._relations[data[place : place + 4]] for place in range(6, 6 + 4 * count, 4)]
        return [self._change(known.table, "truncate", known.schema, None, None) for known in tables]

    def _known(self, data: bytes) -> _Known:
        try:
            return self._relations[data[1:5]]
        except KeyError:
            number = int.from_bytes(data[1:5], "big")
            raise ProtocolError(f"a change of table {number}, which was not announced") from None

    def _change(
        self,
        table: str,
        operation: str,
        schema: str,
        row: dict[str, Any] | None,
        old: dict[str, Any] | None,
        unchanged: tuple[str, ...] = (),
    ) -> Change:
        sequence = self._sequence
        self._sequence = sequence + 1
        return Change(self._commit_lsn, sequence, self._committed_at, table, operation, schema, row, old, unchanged)


def is_additive(before: Relation, after: Relation) -> bool:
    """Return whether `after` has every column of `before` with its type, and the same replica identity."""
    types = {column.name: (column.type_number, column.modifier) for column in after.columns}
    kept = all(types.get(column.name) == (column.type_number, column.modifier) for column in before.columns)
    return kept and _keys(before) == _keys(after)


def timestamp_text(microseconds: int) -> str:
    """Format microseconds since 2000 as ISO text, UTC."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{_second_text(seconds)}.{rest:06d}Z"


def decoders(columns: tuple[Column, ...], binary: bool) -> list[tuple[str, _Decode, _Decode]]:
    """Return each column's name and the decoders of its binary and text forms. Raises UnknownTypeError."""
    found = []
    for column in columns:
        as_binary = _FROM_BINARY.get(column.type_number)
        if binary and as_binary is None:
            raise UnknownTypeError(f"column {column.name} has type {column.type_number}")
        found.append((column.name, as_binary or bytes.decode, _FROM_TEXT.get(column.type_number, bytes.decode)))
    return found


def as_readable(column: Column) -> Column:
    """Return the column, or the column as text if its type is unknown."""
    return column if column.type_number in _FROM_BINARY else column._replace(type_number=_TEXT_TYPE)


def binary_tuple(data: bytes, columns: list[tuple[str, Any, Any]]) -> dict[str, Any]:
    """Decode a row of COPY in binary format, after its count of fields."""
    row: dict[str, Any] = {}
    position = 2
    for name, from_binary, _ in columns:
        (length,) = _I32.unpack_from(data, position)
        position += 4
        if length < 0:
            row[name] = None
        else:
            row[name] = from_binary(data[position : position + length])
            position += length
    return row


_Decode = Callable[[bytes], Any]
_Read = Callable[[bytes, int], dict[str, Any] | None]


class _Known(NamedTuple):
    relation: Relation
    table: str
    schema: str
    columns: list[tuple[str, _Decode, _Decode]]
    read: _Read


def row_reader(columns: tuple[Column, ...]) -> _Read:
    """Generate a function that reads a row of these columns, in about a fifth of the time of `_tuple`.

    Its code has no loop, and two variants: the first is for rows without nulls and reads columns of fixed length
    together; after a null, the second reads any row of binary values and nulls. It returns None for a row with text
    values, omitted values, or numbers that JSON does not have; `_tuple` reads those.
    """
    scope: dict[str, Any] = {"length": _I32.unpack_from, "date": _day_text, "error": struct.error}
    scope |= {f"d{number}": _FROM_BINARY.get(column.type_number, bytes.decode) for number, column in enumerate(columns)}
    row = ", ".join(f"{column.name!r}: v{number}" for number, column in enumerate(columns))
    lines = [
        "def with_nulls(data, place):",
        "    place += 2",
        *(line for number, column in enumerate(columns) for line in _cell(number, column, scope)),
        f"    return {{{row}}}",
        "def read(data, begin):",
        "    try:",
        "        place = begin + 2",
        *(line for number, run in enumerate(_runs(columns)) for line in _run(number, run, scope)),
        "    except error:",  # a row with a null is shorter
        "        return with_nulls(data, begin)",
        f"    return {{{row}}}",
    ]
    exec("\n".join(lines), scope)  # column names occur only as literals
    read: _Read = scope["read"]
    return read


def _cell(number: int, column: Column, scope: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that read one column, null or not."""
    kind, value = column.type_number, f"v{number}"
    yield f"    if data[place] == {_BINARY}:"
    if kind in _FIXED:
        scope[f"u{number}"] = _FIXED[kind].unpack_from
        yield f"        {value} = u{number}(data, place + 5)[0]"
        if kind in _FLOATS:
            yield f"        if {value} - {value} != 0: return None"
        if kind == _DATE_TYPE:
            yield f"        {value} = date({value})"
        yield f"        place += {5 + _FIXED[kind].size}"
    else:
        yield "        end = place + 5 + length(data, place + 1)[0]"
        yield f"        {value} = d{number}(data[place + 5 : end])"
        yield "        place = end"
    yield f"    elif data[place] == {_NULL}:"
    yield f"        {value} = None"
    yield "        place += 1"
    yield "    else: return None"


def _runs(columns: tuple[Column, ...]) -> Iterator[list[tuple[int, int]]]:
    """Yield runs of columns, by number and type, to read together: all but the last have a fixed length."""
    run: list[tuple[int, int]] = []
    for number, column in enumerate(columns):
        run.append((number, column.type_number))
        if column.type_number not in _FIXED:
            yield run
            run = []
    if run:
        yield run


def _run(number: int, run: list[tuple[int, int]], scope: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that read columns together: each has a byte for its form, four for its length, and its value."""
    cells = [f"Bxxxx{_FIXED[kind].format[1:]}" if kind in _FIXED else "Bi" for _, kind in run]
    layout = struct.Struct("!" + "".join(cells))
    scope[f"run{number}"] = layout.unpack_from
    forms = " == ".join(f"k{column}" for column, _ in run)
    yield f"        {', '.join(f'k{column}, v{column}' for column, _ in run)} = run{number}(data, place)"
    yield f"        if not {forms} == {_BINARY}: return with_nulls(data, begin)"
    if floats := [f"v{column}" for column, kind in run if kind in _FLOATS]:
        yield f"        total = {' + '.join(floats)}"  # NaN or infinite if one of them is
        yield "        if total - total != 0: return with_nulls(data, begin)"
    yield from (f"        v{column} = date(v{column})" for column, kind in run if kind == _DATE_TYPE)
    yield f"        place += {layout.size}"
    last, kind = run[-1]
    if kind not in _FIXED:
        yield f"        end = place + v{last}"
        yield f"        v{last} = {'data[place:end].decode()' if kind in _TEXTS else f'd{last}(data[place:end])'}"
        yield "        place = end"


def _tuple(
    data: bytes, position: int, columns: list[tuple[str, _Decode, _Decode]]
) -> tuple[dict[str, Any], list[str], int]:
    """Return the values by column, the columns that were omitted as unchanged, and the end of the row."""
    row: dict[str, Any] = {}
    unchanged: list[str] = []
    length_of = _I32.unpack_from
    position += 2
    for name, from_binary, from_text in columns:
        kind = data[position]
        if kind == _BINARY:
            end = position + 5 + length_of(data, position + 1)[0]
            row[name] = from_binary(data[position + 5 : end])
            position = end
        elif kind == _NULL:
            row[name] = None
            position += 1
        elif kind == _UNCHANGED:
            unchanged.append(name)
            position += 1
        else:
            end = position + 5 + length_of(data, position + 1)[0]
            row[name] = from_text(data[position + 5 : end])
            position = end
    return row, unchanged, position


def _sent_part(old: dict[str, Any], relation: Relation, marker: int) -> dict[str, Any]:
    """Return the part of the old row that was sent: if that is the key only, other columns are null without meaning."""
    if marker == 0x4F:
        return old
    return {column.name: old[column.name] for column in relation.columns if column.is_key}


def _read_relation(data: bytes) -> Relation:
    (number,) = _U32.unpack_from(data, 1)
    namespace, position = _text(data, 5)
    table, position = _text(data, position)
    identity = chr(data[position])
    (count,) = _U16.unpack_from(data, position + 1)
    position += 3
    columns = []
    for _ in range(count):
        is_key = bool(data[position] & 1)
        name, position = _text(data, position + 1)
        type_number, modifier = _COLUMN.unpack_from(data, position)
        position += 8
        columns.append(Column(name, type_number, modifier, is_key))
    return Relation(number, namespace, table, identity, tuple(columns))


def _text(data: bytes, position: int) -> tuple[str, int]:
    end = data.index(0, position)
    return data[position:end].decode(), end + 1


def _keys(relation: Relation) -> set[str]:
    return set() if relation.identity == "f" else {column.name for column in relation.columns if column.is_key}


@lru_cache(maxsize=4096)
def _second_text(seconds: int) -> str:
    return (_POSTGRES_EPOCH + dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


def _date(data: bytes) -> str:
    return _day_text(_I32.unpack(data)[0])


@lru_cache(maxsize=65_536)
def _day_text(days: int) -> str:
    if days in (2**31 - 1, -(2**31)):
        return "infinity" if days > 0 else "-infinity"
    if not 1 <= _DAYS_TO_2000 + days <= dt.date.max.toordinal():
        return f"2000-01-01 {days:+d} days"  # PostgreSQL has years that ISO text does not
    return dt.date.fromordinal(_DAYS_TO_2000 + days).isoformat()


def _timestamp(data: bytes) -> str:
    (microseconds,) = struct.unpack("!q", data)
    if microseconds in (2**63 - 1, -(2**63)):
        return "infinity" if microseconds > 0 else "-infinity"
    return timestamp_text(microseconds).removesuffix("Z")


def _float(layout: struct.Struct) -> _Decode:
    def read(data: bytes) -> float | str:
        (value,) = layout.unpack(data)
        return value if value - value == 0 else str(value)  # JSON has no NaN and no infinity

    return read


def _integer(layout: struct.Struct) -> _Decode:
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


def _text_float(data: bytes) -> float | str:
    value = float(data)
    return value if value - value == 0 else str(value)


_DATE_TYPE = 1082
_FLOATS = (700, 701)
_TEXTS = (18, 19, 25, 114, 1042, 1043)
_FIXED = {
    20: struct.Struct("!q"),
    21: struct.Struct("!h"),
    23: _I32,
    26: _U32,
    700: struct.Struct("!f"),
    701: struct.Struct("!d"),
    _DATE_TYPE: _I32,
}
"""By PostgreSQL's number: types whose binary form has a fixed length."""

_FROM_BINARY: dict[int, _Decode] = {
    **dict.fromkeys(_TEXTS, bytes.decode),
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
    3802: lambda data: data[1:].decode(),
}
"""By PostgreSQL's number of the type: the decoder of its binary form to a JSON value."""

_FROM_TEXT: dict[int, _Decode] = {
    16: lambda data: data == b"t",
    20: int,
    21: int,
    23: int,
    26: int,
    700: _text_float,
    701: _text_float,
    1114: lambda data: _full_time(data.decode()),
    1184: lambda data: _full_time(data.decode().removesuffix("+00")) + ("" if b"inf" in data else "Z"),
}
"""The same for the text form, with the time zone of the connection at UTC."""


def _full_time(text: str) -> str:
    if "infinity" in text:
        return text
    day, _, clock = text.partition(" ")
    seconds, _, fraction = clock.partition(".")
    return f"{day}T{seconds}.{fraction:0<6}"
