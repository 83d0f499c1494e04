"""The audit log is append-only, and a change or a cut of it is noticed."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from quintet.state.audit import Entry, last_entries, problem_of_chain, record
from quintet.state.store import StateStore


@pytest.fixture
def store(tmp_path: Path) -> StateStore:
    store = StateStore(tmp_path)
    for number in range(1, 6):
        record(store, Entry("2026-01-01T00:00:00+00:00", "Ana", "k1", "labels.set", f"user:{number}", "200"))
    return store


def _without_triggers(store: StateStore, statement: str) -> None:
    """Change the file as somebody with a tool for SQLite would."""
    with sqlite3.connect(store.path) as connection:
        for trigger in ("audit_is_not_changed", "audit_is_not_cut"):
            connection.execute(f"drop trigger {trigger}")
        connection.execute(statement)


def test_entries_are_returned_in_order_and_the_chain_is_whole(store: StateStore) -> None:
    assert [entry.subject for entry in last_entries(store, 2)] == ["user:4", "user:5"]
    assert problem_of_chain(store) is None
    assert problem_of_chain(StateStore(store.path.parent / "other")) is None


@pytest.mark.parametrize("statement", ["update audit set actor = 'Bob'", "delete from audit where entry_id = 5"])
def test_the_store_refuses_to_change_or_delete_an_entry(store: StateStore, statement: str) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), store.write() as connection:
        connection.execute(statement)
    assert problem_of_chain(store) is None


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("update audit set actor = 'Bob' where entry_id = 2", "entry 2 was changed"),
        ("delete from audit where entry_id = 3", "entry 3 is missing"),
        ("delete from audit where entry_id = 1", "entry 1 is missing"),
        ("delete from audit where entry_id > 3", "entries after 3 are missing: there were 5"),
        ("delete from audit", "entries after 0 are missing"),
        ("update audit set entry_sha256 = 'x' where entry_id = 5", "entry 5 was changed"),
    ],
)
def test_a_change_past_the_triggers_is_noticed(store: StateStore, statement: str, problem: str) -> None:
    _without_triggers(store, statement)
    assert problem in str(problem_of_chain(store))
