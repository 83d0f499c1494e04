"""One change of one row, its position in the log, and its JSON.

A line is an object with the fields of `Change`, readable without Quintet:

    {"commit_lsn": 31415926, "sequence": 0, "committed_at": "2026-11-21T10:00:00.123456Z", "table": "loan",
     "namespace": "public", "operation": "update", "schema": "3f2a…", "row": {"id": 7, …}, "old": {…}, "unchanged": []}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

Row = Mapping[str, Any]
"""A row by column: numbers, text, booleans and nulls; dates and times as ISO text, decimals as text."""


class TableName(NamedTuple):
    """A table by schema and name; tables of one name in two schemas are two tables."""

    namespace: str
    table: str

    def __str__(self) -> str:
        """Return `schema.table`."""
        return f"{self.namespace}.{self.table}"


class Position(NamedTuple):
    """A position in the log. Changes at or after it have a (commit_lsn, sequence) that is not less."""

    lsn: int
    sequence: int = 0

    def __str__(self) -> str:
        """Return sixteen hexadecimal and eight decimal digits, which sort as text in the order of the log."""
        return f"{self.lsn:016X}.{self.sequence:08d}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Parse what `str` returns."""
        lsn, _, sequence = text.partition(".")
        return cls(int(lsn, 16), int(sequence))


class Change(NamedTuple):
    """A change of a row, as of the commit of its transaction.

    commit_lsn, sequence: the identity; the LSN of the commit and the number within the transaction, from 0.
    committed_at: ISO, UTC, by the database's clock; never used for the order.
    operation: `snapshot` (the row existed at the start), `insert`, `update`, `delete`, `truncate`.
    namespace: PostgreSQL's schema of the table; schema: the version of the table's columns.
    row: the row afterwards, None for delete and truncate. It lacks the columns named in `unchanged`: PostgreSQL does
    not repeat long values that did not change; take them from the row before.
    old: the row before as far as the database sent it: all of it, its key, or None.
    """

    commit_lsn: int
    sequence: int
    committed_at: str
    table: str
    operation: str
    schema: str
    row: Row | None
    old: Row | None
    unchanged: tuple[str, ...] = ()
    namespace: str = "public"

    @property
    def name(self) -> TableName:
        """The table by schema and name."""
        return TableName(self.namespace, self.table)

    @property
    def position(self) -> Position:
        """Its position in the log."""
        return Position(self.commit_lsn, self.sequence)


def encode_lines(changes: Iterable[Change]) -> bytes:
    """Encode changes as lines of JSON, UTF-8. Numbers are finite: `quintet.replication.pgoutput` makes text of others.

    Raises TypeError for a value that JSON does not have.
    """
    return b"".join(
        orjson.dumps(dict(zip(Change._fields, change, strict=True)), option=orjson.OPT_APPEND_NEWLINE)
        for change in changes
    )


def decode_lines(content: bytes) -> Iterator[Change]:
    """Decode lines that `encode_lines` has written."""
    for line in content.split(b"\n")[:-1]:
        fields = orjson.loads(line)
        yield Change(**(fields | {"unchanged": tuple(fields["unchanged"])}))


def completed(change: Change, before: Row | None) -> Row | None:
    """Return the change's row with the unchanged values that `before` has.

    A value is missing if `before` lacks it: a rewrite of the table filled the column without a change in the log.
    """
    if change.row is None or not change.unchanged or before is None:
        return change.row
    return {**change.row, **{name: before[name] for name in change.unchanged if name in before}}
