"""Recorded tables: every row is ingested once with its types, in any number of runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from quintet.state import recorded
from quintet.state.recorded import RecordedTable, create_recorded, ingest_recorded
from quintet.state.store import StateStore

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
