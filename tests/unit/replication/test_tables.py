"""The states of tables: which versions are accepted, and where a quarantine starts."""

from __future__ import annotations

from dataclasses import replace

from obstore.store import MemoryStore

from quintet.change_log.change import Position, TableName
from quintet.change_log.log import Epoch
from quintet.replication.pgoutput import Relation
from quintet.replication.tables import after_relation, first_state, is_quarantined, read_table_state, write_table_state
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
