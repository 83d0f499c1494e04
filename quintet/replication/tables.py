"""Track the columns of the replicated tables, and quarantine tables whose columns change incompatibly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import obstore

from quintet.change_log.change import Position
from quintet.change_log.log import ObjectStore, write_schema
from quintet.replication.pgoutput import Column, Relation, is_additive


@dataclass(frozen=True)
class TableState:
    """A table in an epoch: its accepted versions by schema, the latest one, and where its quarantine starts, if any."""

    epoch: str
    table: str
    accepted: Mapping[str, Relation]
    latest: str
    quarantined_from: Position | None = None


def first_state(epoch: str, relation: Relation) -> TableState:
    """Return the state of a table at the snapshot."""
    return TableState(epoch, relation.table, {relation.schema: relation}, relation.schema)


def after_relation(state: TableState, relation: Relation, at: Position) -> TableState:
    """Return the state after the log announced columns before the change `at`; the same state if they are known."""
    if relation.schema in state.accepted or (state.quarantined_from is not None and at >= state.quarantined_from):
        return state
    if is_additive(state.accepted[state.latest], relation):
        accepted = {**state.accepted, relation.schema: relation}
        return replace(state, accepted=accepted, latest=relation.schema)
    return replace(state, quarantined_from=at)


def is_quarantined(state: TableState, at: Position) -> bool:
    """Return whether a change at a position is quarantined."""
    return state.quarantined_from is not None and at >= state.quarantined_from


def write_table_state(store: ObjectStore, state: TableState) -> None:
    """Write the state, and the columns of its latest version for readers of the log."""
    latest = state.accepted[state.latest]
    write_schema(store, state.table, state.latest, [column._asdict() for column in latest.columns])
    fields = {
        "latest": state.latest,
        "quarantined_from": None if state.quarantined_from is None else str(state.quarantined_from),
        "accepted": {
            schema: {"number": relation.number, "identity": relation.identity, "columns": relation.columns}
            for schema, relation in state.accepted.items()
        },
    }
    obstore.put(store, _key(state.epoch, state.table), json.dumps(fields).encode(), use_multipart=False)


def read_table_state(store: ObjectStore, epoch: str, table: str) -> TableState:
    """Read the state that `write_table_state` wrote."""
    fields = json.loads(bytes(obstore.get(store, _key(epoch, table)).bytes()))
    accepted = {
        schema: Relation(
            known["number"], "public", table, known["identity"], tuple(Column(*column) for column in known["columns"])
        )
        for schema, known in fields["accepted"].items()
    }
    start = fields["quarantined_from"]
    return TableState(epoch, table, accepted, fields["latest"], None if start is None else Position.parse(start))


def _key(epoch: str, table: str) -> str:
    return f"tables/{epoch}/{table}.json"
