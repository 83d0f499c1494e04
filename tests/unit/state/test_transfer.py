"""The state store goes from SQLite files into PostgreSQL and back without a loss."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from quintet.domains import open_state_store, state_files
from quintet.state.audit import Entry, last_entries, problem_of_chain, record
from quintet.state.faults import StateError
from quintet.state.migrations import CORE_MIGRATIONS
from quintet.state.sqlite import SqliteDatabase
from quintet.state.store import FILE, StateStore
from quintet.state.transfer import dump
from tests.state_places import own_schema

ENTRIES = [Entry(f"2026-01-0{day}T00:00:00.000+00:00", "Ana", "k1", "keys.create", "k2", "200") for day in (1, 2, 3)]


def rows(database: object) -> dict[str, list[tuple[object, ...]]]:
    """Return the rows of every table."""
    tables = database.tables()  # type: ignore[attr-defined]
    return {
        table: sorted(map(tuple, database.read().execute(f"select * from {table}").fetchall()))  # type: ignore[attr-defined]
        for table in tables
    }


def filled(store: StateStore) -> None:
    for entry in ENTRIES:
        record(store, entry)
    with store.write() as connection:
        connection.execute("insert into secrets values ('a', x'00ff')")
        connection.execute(
            "insert into payment_points values (1, 'denied', 0.5, 1, 2, 3, 4, 0, 9, 1, 'r', 1, 0, 0, 0, 1)"
        )
        connection.execute("insert into abuse_labels values (3, 'Zoë', 1, '2026-01-01T00:00:00+00:00', 'A', null)")


def test_what_went_into_postgresql_comes_back_as_it_was(state_url: str, tmp_path: Path) -> None:
    place = own_schema(state_url, tmp_path / "online")
    with closing(open_state_store(place.folder)) as file:
        filled(file)
        before = rows(file.database)
    with closing(open_state_store(place)) as store:
        assert rows(store.database) == before
        assert list(last_entries(store, 10)) == ENTRIES
        assert problem_of_chain(store) is None
        applied = dump(store.database, tmp_path / FILE, state_files()[FILE])
    assert applied["core"] == len(CORE_MIGRATIONS)
    with closing(open_state_store(tmp_path)) as back:
        assert rows(back.database) == before
        record(back, ENTRIES[0])
        assert problem_of_chain(back) is None


def test_a_copy_has_only_the_tables_of_its_file(state_url: str, tmp_path: Path) -> None:
    place = own_schema(state_url, tmp_path)
    with (
        closing(open_state_store(place)) as store,
        closing(StateStore(place, "features.sqlite", state_files()["features.sqlite"])),
    ):
        dump(store.database, tmp_path / "copy", state_files()["features.sqlite"])
    with closing(SqliteDatabase(tmp_path / "copy", "off")) as copy:
        assert copy.tables() == ["facts", "migrations", "rows", "states"]


def test_a_row_that_postgresql_cannot_hold_is_named_and_nothing_is_copied(state_url: str, tmp_path: Path) -> None:
    place = own_schema(state_url, tmp_path)
    with closing(open_state_store(tmp_path)) as file:
        filled(file)
        with file.write() as connection:
            connection.execute("update abuse_labels set user_id = 'a' || char(0)")
    with pytest.raises(StateError, match=r"online\.sqlite: rows of abuse_labels cannot be copied"):
        open_state_store(place)
    with closing(open_state_store(tmp_path)) as file, file.write() as connection:
        connection.execute("update abuse_labels set user_id = 'a'")
    with closing(open_state_store(place)) as store:
        assert list(last_entries(store, 10)) == ENTRIES
