"""A forgotten person stays in no header, message or first row of a file that could not be loaded."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from quintet.erasure.unread import erase_unread, erase_unread_of_snapshot
from quintet.forgotten import REASON
from quintet.ingest.unread import MOST_CHARACTERS

MAIL = "pat.o'brien@example.com"
LONG = "Agent " + "x" * 100
FILES = (
    ("quoted", "lacks a column", ["id", "mail"], [["7", MAIL], ["8", "other@example.com"]]),
    ("cut", "lacks a column", ["id", "agent"], [["7", LONG[:MOST_CHARACTERS]]]),
    ("headless", f"its header reads: 7, {MAIL}", ["7", MAIL], [["8", "other@example.com"]]),
    ("another", "lacks a column", ["id", "mail"], [["8", "pat@example.com"]]),
)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a warehouse of four files, with a snapshot of it."""
    with duckdb.connect() as connection:
        connection.execute("""
            attach ':memory:' as snapshot;
            create schema ops;
            create schema snapshot.marts;
            create table ops.unread_files
                (dataset text, batch_id text, message text, titles text[], lacking text[], first_rows text[][]);
            create table ops.batches (dataset text, batch_id text, message text);
        """)
        for batch, message, titles, rows in FILES:
            connection.execute("insert into ops.batches values ('users', ?, ?)", [batch, message])
            connection.execute(
                "insert into ops.unread_files values ('users', ?, ?, ?, ['user_id'], ?)", [batch, message, titles, rows]
            )
        for table in ("unread_files", "batches"):
            connection.execute(f"create table snapshot.marts.ops_{table} as from ops.{table}")
        yield connection


def stored(connection: duckdb.DuckDBPyConnection, *tables: str) -> str:
    return repr([connection.execute(f"from {table}").fetchall() for table in tables])


def test_a_person_is_in_no_file_any_more_and_other_files_stay(connection: duckdb.DuckDBPyConnection) -> None:
    assert erase_unread(connection, "users", [MAIL, LONG]) == 3

    left = stored(connection, "ops.unread_files", "ops.batches")
    assert MAIL not in left.replace("\\'", "'")
    assert LONG[:MOST_CHARACTERS] not in left
    assert connection.execute("select batch_id, message from ops.batches order by all").fetchall() == [
        ("another", "lacks a column"), ("cut", "lacks a column"), ("headless", REASON), ("quoted", "lacks a column"),
    ]  # fmt: skip
    (another,) = connection.execute(
        "select titles, first_rows from ops.unread_files where batch_id = 'another'"
    ).fetchall()
    assert another == (FILES[3][2], FILES[3][3])


def test_the_snapshot_has_what_the_warehouse_has(connection: duckdb.DuckDBPyConnection) -> None:
    erase_unread(connection, "users", [MAIL, LONG])
    erase_unread_of_snapshot(connection, "snapshot")

    for table in ("unread_files", "batches"):
        own, copy = (
            connection.execute(f"from {name} order by batch_id").fetchall()
            for name in (f"ops.{table}", f"snapshot.marts.ops_{table}")
        )
        assert copy == own


def test_a_person_of_another_dataset_erases_nothing(connection: duckdb.DuckDBPyConnection) -> None:
    before = stored(connection, "ops.unread_files", "ops.batches")

    assert erase_unread(connection, "orders", [MAIL, LONG]) == 0
    assert stored(connection, "ops.unread_files", "ops.batches") == before


def test_the_warehouse_of_an_earlier_release_has_nothing_to_erase(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("drop table ops.unread_files")

    assert erase_unread(connection, "users", [MAIL]) == 0
    erase_unread_of_snapshot(connection, "snapshot")
