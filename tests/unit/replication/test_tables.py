"""The states of tables: which versions are accepted, and where a quarantine starts."""

from __future__ import annotations

from dataclasses import replace

from obstore.store import MemoryStore

from quintet.change_log.change import Position
from quintet.replication.pgoutput import Column, Relation
from quintet.replication.tables import after_relation, first_state, is_quarantined, read_table_state, write_table_state

_ID, _NAME, _NOTE = Column("id", 23, -1, True), Column("name", 25, -1, False), Column("note", 25, -1, False)
_FIRST = Relation(1, "public", "loan", "d", (_ID, _NAME))
_ADDED = replace(_FIRST, columns=(_ID, _NAME, _NOTE))
_DROPPED = replace(_FIRST, columns=(_ID, _NOTE))


def test_an_added_column_passes_and_is_the_latest() -> None:
    state = after_relation(first_state("E", _FIRST), _ADDED, Position(5))
    assert state.latest == _ADDED.schema
    assert not is_quarantined(state, Position(9))


def test_an_earlier_version_sent_again_is_not_a_dropped_column() -> None:
    state = after_relation(first_state("E", _FIRST), _ADDED, Position(5))
    assert after_relation(state, _FIRST, Position(3)) is state


def test_a_dropped_column_quarantines_the_table_from_there_on() -> None:
    state = after_relation(after_relation(first_state("E", _FIRST), _ADDED, Position(5)), _DROPPED, Position(7, 2))
    assert not is_quarantined(state, Position(7, 1))
    assert is_quarantined(state, Position(7, 2))


def test_a_quarantined_table_stays_so_even_if_its_columns_return() -> None:
    state = after_relation(first_state("E", _FIRST), _DROPPED, Position(7))
    assert is_quarantined(after_relation(state, _FIRST, Position(8)), Position(9))


def test_the_state_is_stored_in_the_object_store() -> None:
    store = MemoryStore()
    state = after_relation(after_relation(first_state("E", _FIRST), _ADDED, Position(5)), _DROPPED, Position(7))
    write_table_state(store, state)
    assert read_table_state(store, "E", "loan") == state
