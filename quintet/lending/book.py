"""Route changes of rows to clients: turn each change into events of the clients that it affects.

A row with a value that cannot be read is quarantined: its last readable version stays, and its clients are marked, so
that no decision takes their features as complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from quintet.change_log.change import Change, Row, completed
from quintet.lending.contract import LOAN, PAYMENT, SCHEMA, TABLES, USER
from quintet.lending.feature import Event, Feature
from quintet.lending.feature_registry import fold
from quintet.lending.rows import UnreadableRowError, columns_of, key_of, read_columns, read_row
from quintet.replicated import QuarantinedRow

_PARENT = {LOAN: "client_id", PAYMENT: "loan_id"}

QUARANTINED, MARK = "quarantined_row", "quarantined_client"
"""Further tables beside those of the log: quarantined rows by `table key`, and a mark for each client of such a row."""

ANYBODY = "*"
"""The client of a mark if it is not known whose row is quarantined."""

_NO_KEY = "?"


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


def apply_changes(rows: Rows, known: Sequence[Feature], changes: Iterable[Change]) -> list[QuarantinedRow]:
    """Apply changes in order to rows and states; return the rows that were quarantined."""
    quarantined: list[QuarantinedRow] = []
    for change in changes:
        for client, event in events_of(rows, change, quarantined):
            rows.put_states(client, fold(known, rows.states(client), event))
    return quarantined


def events_of(rows: Rows, change: Change, quarantined: list[QuarantinedRow]) -> list[tuple[str, Event]]:
    """Apply a change to `rows` and return its events with their clients; none for tables that lending does not read.

    quarantined: gets the row if it cannot be read.
    """
    if change.namespace != SCHEMA or change.table not in TABLES:
        return []
    table = change.table
    if change.operation == "truncate":
        for name in rows.table_keys(QUARANTINED):
            if name.startswith(f"{table} "):
                _release(rows, name)
        return [event for gone in rows.table_keys(table) for event in _moved(rows, table, gone, None)]
    key = key_of(change.row if change.row is not None else change.old)
    if key is None:
        quarantined.append(_quarantine(rows, change, _NO_KEY, "the change does not name the row's id", None, None))
        return []
    former = key_of(change.old) or key
    before = rows.row(table, former)
    given = completed(change, before)
    try:
        row = None if given is None else read_row(table, given)
    except UnreadableRowError as error:
        quarantined.append(_quarantine(rows, change, key, str(error), given, before))
        return []
    for released in {key, former}:
        _release(rows, f"{table} {released}")
    moved = _moved(rows, table, former, None) if former != key else []
    return [*moved, *_moved(rows, table, key, row)]


def _quarantine(
    rows: Rows, change: Change, key: str, reason: str, given: Row | None, before: Row | None
) -> QuarantinedRow:
    """Mark the clients of a row that cannot be read, before and after the change."""
    table = change.table
    found = QuarantinedRow(str(change.name), key, reason)
    clients: set[str] = set()
    for version in (given, before):
        if version is not None:
            clients |= _clients_of(rows, table, key, version)
    readable = {} if given is None else read_columns(table, given)
    loan = str(readable["loan_id"]) if readable.get("loan_id") is not None else None
    mark: dict[str, Any] = {"table": table, "key": key, "reason": reason, "since": str(change.position)}
    mark |= {"at": change.committed_at, "loan": loan}
    name = f"{table} {key}"
    held = rows.row(QUARANTINED, name)
    if given is None and before is None:
        clients = {ANYBODY}
    owners = sorted(clients | set(held["clients"] if held else ()))
    rows.put_row(QUARANTINED, name, None, mark | {"clients": owners})
    for client in owners:
        rows.put_row(MARK, f"{name} {client}", client, mark | {"client": client})
    return found


def _clients_of(rows: Rows, table: str, key: str, version: Row) -> set[str]:
    """Return the clients that a version of a row belongs to, as far as it can be read; `ANYBODY` if that is unknown."""
    if table == USER:
        return {key}
    parent = read_columns(table, version).get(_PARENT[table])
    if parent is None:
        return {ANYBODY} if version.get(_PARENT[table], "") is not None else set()
    if table == LOAN:
        return {str(parent)}
    owner, held = _client_of_loan(rows, str(parent)), rows.row(QUARANTINED, f"{LOAN} {parent}")
    found = {owner} if owner is not None else set()
    return (found | set(held["clients"] if held else ())) or {ANYBODY}


def _release(rows: Rows, name: str) -> None:
    """Remove the marks of a quarantined row: its current version is known again."""
    held = rows.row(QUARANTINED, name)
    if held is not None:
        for client in held["clients"]:
            rows.put_row(MARK, f"{name} {client}", client, None)
        rows.put_row(QUARANTINED, name, None, None)


def _pass_marks_on(rows: Rows, loan: str, before: str | None, owner: str | None) -> None:
    """Mark the new client of a loan too if one of its payments is quarantined."""
    if before is None or owner is None:
        return
    for _, mark in rows.children(MARK, before):
        if mark["loan"] == loan:
            name = f"{mark['table']} {mark['key']}"
            held = rows.row(QUARANTINED, name)
            if held is not None:
                rows.put_row(QUARANTINED, name, None, held | {"clients": sorted({*held["clients"], owner})})
                rows.put_row(MARK, f"{name} {owner}", owner, mark | {"client": owner})


def _moved(rows: Rows, table: str, key: str, row: Row | None) -> list[tuple[str, Event]]:
    before, after = rows.row(table, key), None if row is None else dict(row)
    parent_before, parent = (_parent(table, key, found) for found in (before, after))
    rows.put_row(table, key, parent, after)
    was, now = (columns_of(table, found) for found in (before, after))
    if table == PAYMENT:
        owner_before, owner = _client_of_loan(rows, parent_before), _client_of_loan(rows, parent)
        return _handed_over(Event(table, key, now), was, owner_before, owner)
    events = _handed_over(Event(table, key, now), was, parent_before, parent)
    if table == LOAN and parent_before != parent:
        _pass_marks_on(rows, key, parent_before, parent)
        for payment, found in rows.children(PAYMENT, key):
            fact = columns_of(PAYMENT, found)
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
