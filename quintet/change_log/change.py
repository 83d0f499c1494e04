"""One change of one row, its place in the order of all changes, and its text.

A line is an object with the fields of `Change`, so that a reader without Quintet understands it:

    {"commit_lsn": 31415926, "sequence": 0, "committed_at": "2026-11-21T10:00:00.123456Z", "table": "loan",
     "operation": "update", "schema": "3f2a…", "row": {"id": 7, …}, "old": {…}, "unchanged": []}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

Row = Mapping[str, Any]
"""A row by column: numbers, text, booleans and nulls; dates and times as ISO text, decimals as text."""


class Position(NamedTuple):
    """A place in the log. Changes at or after it are those whose (commit_lsn, sequence) is not less."""

    lsn: int
    sequence: int = 0

    def __str__(self) -> str:
        """Sixteen hexadecimal digits and eight decimal ones: sorted as text they are in order."""
        return f"{self.lsn:016X}.{self.sequence:08d}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """The place that `str` has written."""
        lsn, _, sequence = text.partition(".")
        return cls(int(lsn, 16), int(sequence))


class Change(NamedTuple):
    """What happened to a row, as of the commit of its transaction.

    commit_lsn, sequence: the identity; the LSN of the commit and the number within the transaction, from 0.
    committed_at: ISO, UTC, by the clock of the database; the order never comes from it.
    operation: `snapshot` (the row was there at the start), `insert`, `update`, `delete`, `truncate`.
    schema: which version of the table's columns the row has.
    row: the row afterwards, None for delete and truncate. Columns named in `unchanged` are missing in it: PostgreSQL
    does not repeat long values that did not change; they are as in the row before.
    old: what the database told of the row before: all of it, its key, or nothing.
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

    @property
    def position(self) -> Position:
        """Its place in the order of all changes."""
        return Position(self.commit_lsn, self.sequence)


def encode_lines(changes: Iterable[Change]) -> bytes:
    """The changes as lines of JSON, UTF-8. Numbers are finite: `quintet.replication.pgoutput` makes text of others.

    Raises TypeError where a value is none of JSON's.
    """
    return b"".join(
        orjson.dumps(dict(zip(Change._fields, change, strict=True)), option=orjson.OPT_APPEND_NEWLINE)
        for change in changes
    )


def decode_lines(content: bytes) -> Iterator[Change]:
    """The changes of lines that `encode_lines` has written."""
    for line in content.split(b"\n")[:-1]:
        fields = orjson.loads(line)
        yield Change(**(fields | {"unchanged": tuple(fields["unchanged"])}))


def completed(change: Change, before: Row | None) -> Row | None:
    """The change's whole row: what it left out because it did not change is taken from `before`.

    Raises KeyError where `before` does not have it: the log before this change is missing.
    """
    if change.row is None or not change.unchanged:
        return change.row
    if before is None:
        raise KeyError(f"{change.table} at {change.position}: the row before is needed for {change.unchanged}")
    return {**change.row, **{name: before[name] for name in change.unchanged}}
