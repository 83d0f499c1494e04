"""Decode the messages of PostgreSQL's plug-in pgoutput (protocol 1, binary or text values) to changes."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from quintet.change_log.change import Change, TableName
from quintet.replication.row_reader import Read, read_tuple, row_reader
from quintet.replication.values import UTF8, Column, Decode, decoders, timestamp_text

_BEGIN = struct.Struct("!QqI")
_COMMIT = struct.Struct("!BQQq")
_U32 = struct.Struct("!I")
_U16 = struct.Struct("!H")
_COLUMN = struct.Struct("!Ii")
_make = tuple.__new__  # a named tuple without the detour over its own `__new__`


class ProtocolError(ValueError):
    """A message breaks the protocol; the error's message says which."""


@dataclass(frozen=True)
class Relation:
    """A table as the log announces it; `schema` names this version of its columns."""

    number: int
    namespace: str
    table: str
    identity: str
    columns: tuple[Column, ...]

    @property
    def name(self) -> TableName:
        """The table by schema and name."""
        return TableName(self.namespace, self.table)

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

    codec: Python's name of the encoding of texts; characters that it lacks become U+FFFD. Raises UnknownTypeError if
    `binary` is on and a table has a column that can only be read as text.
    """

    def __init__(self, binary: bool, codec: str = UTF8) -> None:
        self._binary, self._codec = binary, codec
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
            _, table, schema, columns, read, namespace = known
            row = read(data, place) or read_tuple(data, place, columns)[0]
            sequence = self._sequence
            self._sequence = sequence + 1
            fields = (self._commit_lsn, sequence, self._committed_at, table, "insert", schema, row, None, (), namespace)
            append(_make(Change, fields))
        return found

    def _other(self, data: bytes) -> list[Message]:  # noqa: PLR0911  # one for each kind
        kind = data[0]
        if kind == 0x55:  # U
            return [self._update(data)]
        if kind == 0x44:  # D
            known = self._known(data)
            old, _, _ = read_tuple(data, 6, known.columns)
            return [self._change(known, "delete", None, _sent_part(old, known.relation, data[5]))]
        if kind == 0x42:  # B
            self._commit_lsn, at, _ = _BEGIN.unpack_from(data, 1)
            self._committed_at, self._sequence = timestamp_text(at), 0
            return [Begin(self._commit_lsn, self._committed_at)]
        if kind == 0x43:  # C
            _, commit_lsn, end_lsn, _ = _COMMIT.unpack_from(data, 1)
            return [Commit(commit_lsn, end_lsn)]
        if kind == 0x52:  # R
            relation = _read_relation(data, self._codec)
            columns = decoders(relation.columns, self._binary, self._codec)
            number = _U32.pack(relation.number)
            read = row_reader(relation.columns, self._codec)
            self._relations[number] = _Known(
                relation, relation.table, relation.schema, columns, read, relation.namespace
            )
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
            before, _, position = read_tuple(data, 6, known.columns)
            old = _sent_part(before, known.relation, marker)
            marker, position = data[position], position + 1
        if marker != 0x4E:
            raise ProtocolError(f"update without a new row, but {bytes([marker])!r}")
        whole = known.read(data, position)
        if whole is not None:
            return self._change(known, "update", whole, old)
        row, unchanged, _ = read_tuple(data, position, known.columns)
        if unchanged and old is not None:
            row |= {name: old[name] for name in unchanged if name in old}
            unchanged = [name for name in unchanged if name not in old]
        return self._change(known, "update", row, old, tuple(unchanged))

    def _truncate(self, data: bytes) -> list[Change]:
        (count,) = _U32.unpack_from(data, 1)
        tables = [self._relations[data[place : place + 4]] for place in range(6, 6 + 4 * count, 4)]
        return [self._change(known, "truncate", None, None) for known in tables]

    def _known(self, data: bytes) -> _Known:
        try:
            return self._relations[data[1:5]]
        except KeyError:
            number = int.from_bytes(data[1:5], "big")
            raise ProtocolError(f"a change of table {number}, which was not announced") from None

    def _change(
        self,
        known: _Known,
        operation: str,
        row: dict[str, Any] | None,
        old: dict[str, Any] | None,
        unchanged: tuple[str, ...] = (),
    ) -> Change:
        sequence = self._sequence
        self._sequence = sequence + 1
        return Change(
            self._commit_lsn,
            sequence,
            self._committed_at,
            known.table,
            operation,
            known.schema,
            row,
            old,
            unchanged,
            known.namespace,
        )


def is_additive(before: Relation, after: Relation) -> bool:
    """Return whether `after` has every column of `before` with its type, and the same replica identity or all of it."""
    types = {column.name: (column.type_number, column.modifier) for column in after.columns}
    kept = all(types.get(column.name) == (column.type_number, column.modifier) for column in before.columns)
    return kept and ("f" in (before.identity, after.identity) or _keys(before) == _keys(after))


class _Known(NamedTuple):
    relation: Relation
    table: str
    schema: str
    columns: list[tuple[str, Decode, Decode]]
    read: Read
    namespace: str


def _sent_part(old: dict[str, Any], relation: Relation, marker: int) -> dict[str, Any]:
    """Return the part of the old row that was sent: if that is the key only, other columns are null without meaning."""
    if marker == 0x4F:
        return old
    return {column.name: old[column.name] for column in relation.columns if column.is_key}


def _read_relation(data: bytes, codec: str) -> Relation:
    (number,) = _U32.unpack_from(data, 1)
    namespace, position = _text(data, 5, codec)
    table, position = _text(data, position, codec)
    identity = chr(data[position])
    (count,) = _U16.unpack_from(data, position + 1)
    position += 3
    columns = []
    for _ in range(count):
        is_key = bool(data[position] & 1)
        name, position = _text(data, position + 1, codec)
        type_number, modifier = _COLUMN.unpack_from(data, position)
        position += 8
        columns.append(Column(name, type_number, modifier, is_key))
    return Relation(number, namespace, table, identity, tuple(columns))


def _text(data: bytes, position: int, codec: str) -> tuple[str, int]:
    end = data.index(0, position)
    return data[position:end].decode(codec, "replace"), end + 1


def _keys(relation: Relation) -> set[str]:
    return {column.name for column in relation.columns if column.is_key}
