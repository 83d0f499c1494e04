"""The states of tables: which versions are accepted, and where a quarantine starts."""

from __future__ import annotations

import json
from dataclasses import replace

import obstore
import pytest
from obstore.store import MemoryStore

from quintet.change_log.change import Position, TableName
from quintet.change_log.log import Epoch
from quintet.replicated import Kind
from quintet.replication.catalog import OPERATIONS, Catalog, FoundColumn, FoundPublication, FoundTable, Membership
from quintet.replication.pgoutput import Relation
from quintet.replication.tables import (
    after_relation,
    first_state,
    is_quarantined,
    origin_of,
    read_table_state,
    why_incomplete,
    write_table_state,
)
from quintet.replication.values import Column

_ID, _NAME, _NOTE = Column("id", 23, -1, True), Column("name", 25, -1, False), Column("note", 25, -1, False)
_FIRST = Relation(1, "public", "loan", "d", (_ID, _NAME))
_AT = "2026-01-01T00:00:00.000000Z"
_EPOCH = Epoch("E", Position(0), Position(0), _AT, "1")
_ADDED = replace(_FIRST, columns=(_ID, _NAME, _NOTE))
_DROPPED = replace(_FIRST, columns=(_ID, _NOTE))


def test_an_added_column_passes_and_is_the_latest() -> None:
    state = after_relation(first_state("E", _FIRST), _ADDED, Position(5), _AT)
    assert state.latest == _ADDED.schema
    assert not is_quarantined(state, Position(9))


def test_an_earlier_version_sent_again_is_not_a_dropped_column() -> None:
    state = after_relation(first_state("E", _FIRST), _ADDED, Position(5), _AT)
    assert after_relation(state, _FIRST, Position(3), _AT) is state


def test_a_dropped_column_quarantines_the_table_from_there_on() -> None:
    state = after_relation(
        after_relation(first_state("E", _FIRST), _ADDED, Position(5), _AT), _DROPPED, Position(7, 2), _AT
    )
    assert not is_quarantined(state, Position(7, 1))
    assert is_quarantined(state, Position(7, 2))


def test_a_quarantined_table_stays_so_even_if_its_columns_return() -> None:
    state = after_relation(first_state("E", _FIRST), _DROPPED, Position(7), _AT)
    assert is_quarantined(after_relation(state, _FIRST, Position(8), _AT), Position(9))


def test_the_state_is_stored_in_the_object_store() -> None:
    store = MemoryStore()
    state = after_relation(
        after_relation(first_state("E", _FIRST), _ADDED, Position(5), _AT), _DROPPED, Position(7), _AT
    )
    write_table_state(store, state)
    assert read_table_state(store, _EPOCH, TableName("public", "loan")) == state


def test_the_state_of_an_epoch_from_before_tables_were_known_by_schema_is_read() -> None:
    store = MemoryStore()
    versions = {_FIRST.schema: {"number": 1, "identity": "d", "columns": [list(column) for column in _FIRST.columns]}}
    fields = {"latest": _FIRST.schema, "quarantined_from": str(Position(7, 2)), "accepted": versions}
    obstore.put(store, "tables/E/loan.json", json.dumps(fields).encode())
    state = read_table_state(store, _EPOCH, TableName("public", "loan"))
    assert state.accepted == {_FIRST.schema: _FIRST}
    assert state.origin is None
    assert state.incomplete is not None
    assert (state.incomplete.since, state.incomplete.last_commit_at) == (Position(7, 2), _AT)
    assert is_quarantined(state, Position(7, 2))


_KINDS: dict[str, Kind] = {"id": "integer", "name": "varchar"}
_MEMBER = Membership("table 9", None, False)
_TABLE = FoundTable(
    1, "r", "d", ("id",), (("id",),), False,
    (FoundColumn("id", 1, 23, -1, "integer", "int4"), FoundColumn("name", 2, 25, -1, "text", "text")),
)  # fmt: skip
_PUBLICATION = FoundPublication(5, "700", OPERATIONS, False, {_FIRST.name: _MEMBER})
_CATALOG = Catalog(_PUBLICATION, {_FIRST.name: _TABLE})


def _why(publication: FoundPublication = _PUBLICATION, table: FoundTable | None = _TABLE) -> str | None:
    origin = origin_of(_FIRST.name, _CATALOG, _KINDS)
    assert origin is not None
    return why_incomplete(origin, _FIRST.name, Catalog(publication, {_FIRST.name: table}), publication, _KINDS)


def test_a_table_as_at_the_start_of_the_epoch_is_complete() -> None:
    assert _why() is None
    more = FoundColumn("note", 3, 25, -1, "text", "text")
    assert _why(table=replace(_TABLE, columns=(*_TABLE.columns, more))) is None


@pytest.mark.parametrize(
    ("publication", "table", "said"),
    [
        (_PUBLICATION, None, "dropped or renamed"),
        (_PUBLICATION, replace(_TABLE, number=2), "another table has its name"),
        (replace(_PUBLICATION, members={}), _TABLE, "not in the publication"),
        (replace(_PUBLICATION, members={_FIRST.name: replace(_MEMBER, number="table 10")}), _TABLE, "put back"),
        (replace(_PUBLICATION, version="701"), _TABLE, "was altered"),
        (_PUBLICATION, replace(_TABLE, columns=_TABLE.columns[:1]), "incompatibly: name"),
        (_PUBLICATION, replace(_TABLE, identity="n"), "replica identity"),
    ],
)
def test_whatever_may_have_lost_changes_is_a_reason(
    publication: FoundPublication, table: FoundTable | None, said: str
) -> None:
    assert said in (_why(publication, table) or "")
