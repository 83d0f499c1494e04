"""Recorded tables: every row is ingested once with its types, in any number of runs and from any copy of the store."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quintet.state import recorded
from quintet.state.recorded import RecordedTable, count_restarts, create_recorded, ingest_recorded, preparation
from quintet.state.store import FILE, StateStore

NOTES = RecordedTable(
    "notes",
    "ops",
    "Notes that people wrote.",
    {
        "note_id": "bigint",
        "written_at": "timestamp",
        "is_open": "boolean",
        "labels": "varchar[]",
        "amount": "decimal(38, 4)",
        "author": "varchar",
    },
    optional=frozenset({"author"}),
)
SCRIPT = """
create table notes (
    note_id integer primary key, written_at text, is_open integer, labels text, amount text, author text, secret text
)
"""


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("create schema ops")
        create_recorded(connection, [NOTES])
        yield connection


def write(folder: Path, *numbers: int, author: str | None = "Ana") -> None:
    with closing(StateStore(folder, migrations={"notes": (SCRIPT,)})) as store, store.write() as connection:
        connection.executemany(
            "insert into notes values (?, '2026-01-01T10:00:00+02:00', 0, '[\"A_2\", \"B\"]', '168988558.48', ?, 'x')",
            [(number, author) for number in numbers],
        )


def test_rows_are_ingested_once_with_the_types_declared(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    write(tmp_path, 3, author=None)

    assert [ingest_recorded(warehouse, NOTES, tmp_path) for _ in range(2)] == [1, 1]
    assert warehouse.execute("from ops.notes").fetchall() == [
        (3, dt.datetime(2026, 1, 1, 8), False, ["A_2", "B"], Decimal("168988558.48"), None)
    ]


def test_only_the_rows_after_the_last_one_are_added(
    warehouse: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded, "_ROWS_AT_ONCE", 2)
    counts = []
    for numbers in ((1, 2), (5,), (6, 7, 8, 9, 10)):
        write(tmp_path, *numbers)
        counts.append(ingest_recorded(warehouse, NOTES, tmp_path))
    assert counts == [2, 3, 8]
    assert warehouse.execute("select note_id from ops.notes order by 1").fetchall() == [
        (number,) for number in (1, 2, 5, 6, 7, 8, 9, 10)
    ]


def test_a_store_without_the_table_has_no_rows(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    assert ingest_recorded(warehouse, NOTES, tmp_path / "none") == 0
    StateStore(tmp_path).close()
    assert ingest_recorded(warehouse, NOTES, tmp_path) == 0


def test_a_row_that_breaks_its_declaration_leaves_nothing_of_its_batch(
    warehouse: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    create_recorded(warehouse, [replace(NOTES, name="strict", source="notes", optional=frozenset())])
    write(tmp_path, 1)
    write(tmp_path, 2, author=None)
    with pytest.raises(duckdb.ConstraintException):
        ingest_recorded(warehouse, replace(NOTES, name="strict", source="notes"), tmp_path)
    assert warehouse.execute("select count(*) from ops.strict").fetchone() == (0,)


def ingest(warehouse: duckdb.DuckDBPyConnection, folder: Path) -> list[tuple[int, str]]:
    """Ingest twice, as two runs do; return number and author of every note."""
    counts = {ingest_recorded(warehouse, NOTES, folder) for _ in range(2)}
    found = warehouse.execute("select note_id, author from ops.notes order by 1").fetchall()
    assert counts == {len(found)}
    return found


def delete_store(folder: Path) -> None:
    for file in folder.glob(f"{FILE}*"):
        file.unlink()


def test_rows_of_a_store_that_was_deleted_and_began_again_are_added(
    warehouse: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    write(tmp_path, 1, 2, 3)
    before = ingest(warehouse, tmp_path)
    delete_store(tmp_path)
    assert ingest(warehouse, tmp_path) == before
    write(tmp_path, 1, author="Bob")
    assert ingest(warehouse, tmp_path) == [*before, (4, "Bob")]
    write(tmp_path, 2, 3, 4, author="Cem")
    assert ingest(warehouse, tmp_path) == [*before, (4, "Bob"), (5, "Cem"), (6, "Cem"), (7, "Cem")]
    assert count_restarts(warehouse, NOTES) == 1


def test_rows_written_after_an_older_copy_was_restored_are_added(
    warehouse: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    store, copy = tmp_path / "store", tmp_path / "copy"
    write(store, 1, 2)
    shutil.copytree(store, copy)
    write(store, 3, 4)
    before = ingest(warehouse, store)
    lost = tmp_path / "lost"
    store.rename(lost)
    shutil.copytree(copy, store)
    assert ingest(warehouse, store) == before
    write(store, 3, 4, 5, author="Bob")  # with the key of the last ingested row, and beyond
    after = [*before, (5, "Bob"), (6, "Bob"), (7, "Bob")]
    assert ingest(warehouse, store) == after

    delete_store(store)  # the lost one is found again
    shutil.copytree(lost, store, dirs_exist_ok=True)
    assert ingest(warehouse, store) == after
    write(store, 5, author="Cem")
    assert ingest(warehouse, store) == [*after, (8, "Cem")]


def test_a_store_that_goes_on_keeps_its_numbers(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for number in (1, 2, 9):
        write(tmp_path, number)
        ingest(warehouse, tmp_path)
    assert [number for number, _ in ingest(warehouse, tmp_path)] == [1, 2, 9]
    assert count_restarts(warehouse, NOTES) == 0


def test_only_new_rows_of_a_store_that_goes_on_are_read(
    warehouse: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, *range(1, 6))
    ingest(warehouse, tmp_path)
    write(tmp_path, 6)
    read: list[int] = []
    rows_of = recorded._rows

    def rows(*arguments: object) -> object:
        chunk = rows_of(*arguments)  # type: ignore[arg-type]
        read.extend(chunk["note_id"])
        return chunk

    monkeypatch.setattr(recorded, "_rows", rows)
    ingest_recorded(warehouse, NOTES, tmp_path)
    assert read == [5, 6]


def test_a_warehouse_of_an_earlier_release_goes_on(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    before = ingest(warehouse, tmp_path)
    warehouse.execute("drop table ops.recorded_numbering")
    create_recorded(warehouse, [NOTES])
    write(tmp_path, 3, author="Bob")
    assert ingest(warehouse, tmp_path) == [*before, (3, "Bob")]


@settings(max_examples=20)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(1, 3)),
            st.tuples(st.sampled_from(["run", "copy", "restore", "delete"]), st.just(0)),
        ),
        max_size=25,
    )
)
def test_every_note_is_ingested_once_whatever_happens_to_the_store(steps: list[tuple[str, int]]) -> None:
    """A note that was written and lost again between two runs is the only one that may be missing."""
    stored: list[str] = []
    copied: list[str] = []
    expected: set[str] = set()
    written = 0
    with duckdb.connect() as connection, TemporaryDirectory() as name:
        connection.execute("set TimeZone = 'UTC'; create schema ops")
        create_recorded(connection, [NOTES])
        store, copy = Path(name) / "store", Path(name) / "copy"
        for action, count in [*steps, ("run", 0)]:
            if action == "write":
                for _ in range(count):
                    written += 1
                    write(store, len(stored) + 1, author=f"note {written}")
                    stored.append(f"note {written}")
            elif action == "run":
                expected |= set(stored)
                assert sorted(author for _, author in ingest(connection, store)) == sorted(expected)
            elif action == "copy":
                shutil.rmtree(copy, ignore_errors=True)
                if store.exists():
                    shutil.copytree(store, copy)
                copied = list(stored)
            else:
                shutil.rmtree(store, ignore_errors=True)
                stored = []
                if action == "restore" and copy.exists():
                    shutil.copytree(copy, store)
                    stored = list(copied)


def test_the_text_of_a_preparation_changes_with_every_part_of_a_declaration() -> None:
    changed = [
        replace(NOTES, name="others"),
        replace(NOTES, columns={**NOTES.columns, "more": "varchar"}),
        replace(NOTES, optional=NOTES.optional ^ {next(iter(NOTES.columns))}),
        replace(NOTES, former_names={"now": "before"}),
    ]
    texts = {preparation([table]) for table in [NOTES, NOTES, *changed]}
    assert len(texts) == 1 + len(changed)
