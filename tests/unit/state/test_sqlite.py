"""Connections to an SQLite file belong to threads, and end with them."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from quintet.state.sqlite import SqliteDatabase


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    database = SqliteDatabase(tmp_path / "state.sqlite", "normal")
    with database.write() as connection:
        connection.execute("create table number (value int)")
        connection.execute("insert into number values (7)")
    yield database
    database.close()


def in_a_thread(work: Callable[[], object]) -> None:
    """Run in a thread of its own, to its end."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_a_thread_that_has_ended_keeps_no_connection(database: SqliteDatabase) -> None:
    opened: list[sqlite3.Connection] = []
    for _ in range(20):
        in_a_thread(lambda: opened.append(database.read()))

    is_open = [not _is_closed(connection) for connection in opened]
    assert sum(is_open) <= 1  # the last one is closed by the next
    assert database.read().execute("select value from number").fetchone()[0] == 7


def test_a_thread_that_lives_keeps_its_connection(database: SqliteDatabase) -> None:
    others_are_done, is_open = threading.Event(), threading.Event()
    found: list[int] = []

    def wait() -> None:
        connection = database.read()
        is_open.set()
        others_are_done.wait()
        found.append(connection.execute("select value from number").fetchone()[0])

    living = threading.Thread(target=wait)
    living.start()
    is_open.wait()
    for _ in range(3):
        in_a_thread(lambda: database.read().execute("select 1").fetchall())
    others_are_done.set()
    living.join()
    assert found == [7]


def test_a_released_connection_is_replaced_by_a_new_one(database: SqliteDatabase) -> None:
    first = database.read()
    database.release()
    assert _is_closed(first)
    assert database.read().execute("select value from number").fetchone()[0] == 7
    database.release()
    database.release()  # nothing is open


def _is_closed(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("select 1")
    except sqlite3.ProgrammingError:
        return True
    return False
