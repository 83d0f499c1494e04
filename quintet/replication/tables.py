"""Track the replicated tables of an epoch: their columns, their place in the publication, and where they are complete.

A table is quarantined from the position on from which its changes may be missing or cannot be read: its columns changed
incompatibly, it is another table, or the publication does not send everything of it, or did not for a while. Only a new
snapshot ends a quarantine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import obstore

from quintet.change_log.change import Position, TableName
from quintet.change_log.completeness import Incomplete, write_incomplete
from quintet.change_log.log import Epoch, ObjectStore, write_schema
from quintet.replicated import Kind
from quintet.replication.catalog import Catalog, FoundPublication, publication_faults, table_faults
from quintet.replication.pgoutput import Relation, is_additive
from quintet.replication.values import Column

OTHER_COLUMNS = "its columns changed incompatibly"


@dataclass(frozen=True)
class Origin:
    """What the epoch's snapshot found in the catalogs, to notice later changes.

    publication, version: its number and the version of its options. member: the table's entry in it. number: of the
    table. columns: number, type and modifier of the columns that are read, by name.
    """

    publication: int
    version: str
    member: str
    number: int
    columns: Mapping[str, tuple[int, int, int]]


@dataclass(frozen=True)
class TableState:
    """A table in an epoch.

    accepted, latest: the accepted versions of its columns by schema, and the latest one. origin: None for an epoch of
    an earlier version of Quintet. incomplete: None if the table is not quarantined.
    """

    epoch: str
    name: TableName
    accepted: Mapping[str, Relation]
    latest: str
    origin: Origin | None = None
    incomplete: Incomplete | None = None


def first_state(epoch: str, relation: Relation, origin: Origin | None = None) -> TableState:
    """Return the state of a table at the snapshot."""
    return TableState(epoch, relation.name, {relation.schema: relation}, relation.schema, origin)


def quarantined(state: TableState, at: Position, last_commit_at: str, reason: str) -> TableState:
    """Return the state with a quarantine that starts at `at`; the same state if it is quarantined already."""
    if state.incomplete is not None:
        return state
    return replace(state, incomplete=Incomplete(str(state.name), at, last_commit_at, reason))


def after_relation(state: TableState, relation: Relation, at: Position, last_commit_at: str) -> TableState:
    """Return the state after the log announced columns before the change `at`; the same state if they are known."""
    if relation.schema in state.accepted or state.incomplete is not None:
        return state
    before = state.accepted[state.latest]
    if is_additive(before, relation):
        accepted = {**state.accepted, relation.schema: relation}
        return replace(state, accepted=accepted, latest=relation.schema)
    now = {column.name: column[1:] for column in relation.columns}
    changed = ", ".join(column.name for column in before.columns if now.get(column.name) != column[1:])
    return quarantined(state, at, last_commit_at, f"{OTHER_COLUMNS}: {changed}")


def is_quarantined(state: TableState, at: Position) -> bool:
    """Return whether a change at a position is quarantined."""
    return state.incomplete is not None and at >= state.incomplete.since


def origin_of(name: TableName, catalog: Catalog, kinds: Mapping[str, Kind]) -> Origin | None:
    """Return the origin of a table; None if it or the publication is not there."""
    found, publication = catalog.tables[name], catalog.publication
    member = publication.members.get(name) if publication is not None else None
    if found is None or publication is None or member is None:
        return None
    columns = {
        column.name: (column.number, column.type_number, column.modifier)
        for column in found.columns
        if column.name in kinds
    }
    return Origin(publication.number, publication.version, member.number, found.number, columns)


def why_incomplete(
    origin: Origin, name: TableName, catalog: Catalog, publication: FoundPublication, kinds: Mapping[str, Kind]
) -> str | None:
    """Return why changes of a table may be missing, as a clause; None if there is no reason."""
    found = catalog.tables[name]
    if found is None or found.number != origin.number:
        return "it was dropped or renamed" if found is None else "another table has its name now"
    if faults := publication_faults(name, found, publication):
        return "; ".join(faults)
    if publication.members[name].number != origin.member:
        return "it was taken out of the publication and put back, and the changes in between are missing"
    now = {column.name: (column.number, column.type_number, column.modifier) for column in found.columns}
    changed = [column for column in origin.columns if now.get(column) != origin.columns[column]]
    reasons = [
        *(["the publication was altered, and changes may be missing"] if publication.version != origin.version else []),
        *([f"{OTHER_COLUMNS}: {', '.join(changed)}"] if changed else []),
        *table_faults(name, found, kinds),
    ]
    return "; ".join(reasons) or None


def write_table_state(store: ObjectStore, state: TableState) -> None:
    """Write the state, the columns of its latest version, and where it is incomplete, for readers of the log."""
    latest = state.accepted[state.latest]
    write_schema(store, str(state.name), state.latest, [column._asdict() for column in latest.columns])
    fields = {
        "latest": state.latest,
        "accepted": {
            schema: {"number": relation.number, "identity": relation.identity, "columns": relation.columns}
            for schema, relation in state.accepted.items()
        },
        "origin": None if state.origin is None else vars(state.origin),
        "incomplete": None if state.incomplete is None else _incomplete_fields(state.incomplete),
    }
    obstore.put(store, _key(state.epoch, str(state.name)), json.dumps(fields).encode(), use_multipart=False)
    if state.incomplete is not None:
        write_incomplete(store, state.epoch, state.incomplete)


def read_table_state(store: ObjectStore, epoch: Epoch, name: TableName) -> TableState:
    """Read the state that `write_table_state` wrote."""
    try:
        text = obstore.get(store, _key(epoch.name, str(name))).bytes()
    except FileNotFoundError:  # written before tables were known by schema
        text = obstore.get(store, _key(epoch.name, name.table)).bytes()
    fields = {"completed_at": epoch.completed_at} | json.loads(bytes(text))
    accepted = {
        schema: Relation(
            known["number"], *name, known["identity"], tuple(Column(*column) for column in known["columns"])
        )
        for schema, known in fields["accepted"].items()
    }
    return TableState(
        epoch.name, name, accepted, fields["latest"], _origin(fields.get("origin")), _incomplete(fields, str(name))
    )


def _origin(fields: dict | None) -> Origin | None:
    if fields is None:
        return None
    return Origin(**(fields | {"columns": {name: tuple(found) for name, found in fields["columns"].items()}}))


def _incomplete_fields(found: Incomplete) -> dict[str, str]:
    return {"since": str(found.since), "last_commit_at": found.last_commit_at, "reason": found.reason}


def _incomplete(fields: dict, table: str) -> Incomplete | None:
    if since := fields.get("quarantined_from"):  # of an earlier version of Quintet
        return Incomplete(table, Position.parse(since), fields["completed_at"], OTHER_COLUMNS)
    found = fields.get("incomplete")
    return None if found is None else Incomplete(table, **(found | {"since": Position.parse(found["since"])}))


def _key(epoch: str, table: str) -> str:
    return f"tables/{epoch}/{table}.json"
