"""Route changes of rows to clients: turn each change into events of the clients that it affects."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from quintet.change_log.change import Change, Row, completed
from quintet.lending.contract import LOAN, PAYMENT, TABLES, USER
from quintet.lending.feature import Event, Feature
from quintet.lending.feature_registry import fold

_PARENT = {LOAN: "client_id", PAYMENT: "loan_id"}


class Rows(Protocol):
    """Storage of the loan book's rows; see `quintet.state.features.Draft`."""

    def row(self, table: str, key: str) -> dict[str, Any] | None:
        """Return a row, None if there is none."""

    def put_row(self, table: str, key: str, parent: str | None, row: dict[str, Any] | None) -> None:
        """Set a row, or remove it."""

    def children(self, table: str, parent: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the rows of a table that belong to `parent`, with their keys."""

    def table_keys(self, table: str) -> list[str]:
        """Return the keys of a table's rows."""

    def states(self, owner: str) -> dict[str, Any]:
        """Return the states of a client's features."""

    def put_states(self, owner: str, states: dict[str, Any]) -> None:
        """Set the states of a client's features."""


def apply_changes(rows: Rows, known: Sequence[Feature], changes: Iterable[Change]) -> dict[str, int]:
    """Apply changes in order to rows and states, and count the events of each affected client."""
    touched: dict[str, int] = {}
    for change in changes:
        for client, event in events_of(rows, change):
            rows.put_states(client, fold(known, rows.states(client), event))
            touched[client] = touched.get(client, 0) + 1
    return touched


def events_of(rows: Rows, change: Change) -> list[tuple[str, Event]]:
    """Apply a change to `rows` and return its events with their clients; none for tables that lending does not read."""
    if change.table not in TABLES:
        return []
    if change.operation == "truncate":
        return [event for key in rows.table_keys(change.table) for event in _moved(rows, change.table, key, None)]
    known = change.row if change.row is not None else change.old
    before = change.old if change.old is not None and "id" in change.old else known
    if known is None or before is None:
        raise ValueError(f"{change.table} at {change.position}: the change names no row. Give the table a primary key")
    key, former = str(known["id"]), str(before["id"])
    row = completed(change, rows.row(change.table, former))
    moved = _moved(rows, change.table, former, None) if former != key else []
    return [*moved, *_moved(rows, change.table, key, row)]


def _moved(rows: Rows, table: str, key: str, row: Row | None) -> list[tuple[str, Event]]:
    before, after = rows.row(table, key), None if row is None else dict(row)
    parent_before, parent = (_parent(table, key, found) for found in (before, after))
    rows.put_row(table, key, parent, after)
    was, now = (clean(table, found) for found in (before, after))
    if table == PAYMENT:
        owner_before, owner = _client_of_loan(rows, parent_before), _client_of_loan(rows, parent)
        return _handed_over(Event(table, key, now), was, owner_before, owner)
    events = _handed_over(Event(table, key, now), was, parent_before, parent)
    if table == LOAN and parent_before != parent:
        for payment, found in rows.children(PAYMENT, key):
            fact = clean(PAYMENT, found)
            events += _handed_over(Event(PAYMENT, payment, fact), fact, parent_before, parent)
    return events


def _handed_over(event: Event, was: Row | None, before: str | None, owner: str | None) -> list[tuple[str, Event]]:
    """Return the event for the row's owner, and its removal for a former owner; none if features are not affected."""
    if before == owner:
        return [] if owner is None or was == event.row else [(owner, event)]
    ended = [(before, event._replace(row=None))] if before is not None else []
    begun = [(owner, event)] if owner is not None and event.row is not None else []
    return [*ended, *begun]


def _parent(table: str, key: str, row: dict[str, Any] | None) -> str | None:
    if row is None:
        return None
    value = key if table == USER else row.get(_PARENT[table])
    return None if value is None else str(value)


def _client_of_loan(rows: Rows, loan: str | None) -> str | None:
    found = None if loan is None else rows.row(LOAN, loan)
    return None if loan is None else _parent(LOAN, loan, found)


def clean(table: str, row: dict[str, Any] | None) -> Row | None:
    """Return the columns that features read; dates that Python does not know become null."""
    if row is None:
        return None
    kinds = TABLES[table]
    return {name: _date(row[name]) if kind == "date" else row[name] for name, kind in kinds.items()}


def _date(text: Any) -> str | None:
    try:
        return dt.date.fromisoformat(text).isoformat()
    except (TypeError, ValueError):
        return None
