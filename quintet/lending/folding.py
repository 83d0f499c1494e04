"""Fold a stretch of the log into rows and states in memory, and what such a folding returns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple

from quintet.change_log.change import Change, Position
from quintet.change_log.log import Epoch
from quintet.lending.feature import Feature

StoredRow = tuple[str, str, str | None, dict[str, Any]]
"""Table, key, key of the parent, and the row."""


class Part(NamedTuple):
    """A part of the results: rows, and the states of clients."""

    rows: Iterable[StoredRow]
    states: Iterable[tuple[str, dict[str, Any]]]


@dataclass(frozen=True)
class Folded:
    """The results of folding a log from its start. settled: applications by day. end: the place reached."""

    parts: Iterator[Part]
    settled: Counter[str]
    end: Position


Folding = Callable[
    [Iterable[tuple[list[Change], Position]], Sequence[Feature], Epoch, Position | None], AbstractContextManager[Folded]
]
"""Folds the history of an epoch; the last argument is where the first table became incomplete.

The result does not depend on where it runs.
"""


class RowsInMemory:
    """Rows and states in memory, in the place of a `quintet.state.features.Draft`."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, tuple[str | None, dict[str, Any]]]] = {}
        self._children: dict[tuple[str, str | None], set[str]] = {}
        self._states: dict[str, dict[str, Any]] = {}

    def row(self, table: str, key: str) -> dict[str, Any] | None:
        """Return a row; None where there is none."""
        found = self._rows.get(table, {}).get(key)
        return None if found is None else found[1]

    def put_row(self, table: str, key: str, parent: str | None, row: dict[str, Any] | None) -> None:
        """Set a row and the key of its parent; None removes the row."""
        rows = self._rows.setdefault(table, {})
        before = rows.pop(key, None)
        if before is not None:
            self._children[table, before[0]].discard(key)
        if row is not None:
            rows[key] = (parent, row)
            self._children.setdefault((table, parent), set()).add(key)

    def children(self, table: str, parent: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the rows of a table that belong to `parent`, by key."""
        rows = self._rows.get(table, {})
        return [(key, rows[key][1]) for key in sorted(self._children.get((table, parent), ()))]

    def table_keys(self, table: str) -> list[str]:
        """Return the keys of all rows of a table."""
        return sorted(self._rows.get(table, {}))

    def states(self, owner: str) -> dict[str, Any]:
        """Return the states of an owner; empty where there are none."""
        return self._states.get(owner, {})

    def put_states(self, owner: str, states: dict[str, Any]) -> None:
        """Set the states of an owner."""
        self._states[owner] = states

    def all_rows(self) -> Iterator[StoredRow]:
        """Yield all rows."""
        for table, rows in self._rows.items():
            for key, (parent, row) in rows.items():
                yield table, key, parent, row

    def all_states(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield every owner with its states."""
        yield from self._states.items()
