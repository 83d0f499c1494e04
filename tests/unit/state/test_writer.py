"""Group commit: each caller's write is on the disk when its future is done."""

from __future__ import annotations

import itertools
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from quintet.state import writer as module
from quintet.state.store import StateStore
from quintet.state.writer import MOST_FRAMES, Writer
from tests.state_places import IntegrityError
from tests.waiting import LONG_SECONDS, wait_until


def insert(connection: sqlite3.Connection, name: str) -> str:
    connection.execute("insert into secrets values (?, x'00')", (name,))
    return name


def names(store: StateStore) -> set[str]:
    return {row["name"] for row in store.read().execute("select name from secrets")}


@pytest.fixture
def writer(store: StateStore) -> Iterator[Writer]:
    writer = Writer(store)
    writer.start()
    yield writer
    writer.close()


def test_every_write_of_many_threads_is_durable_when_its_future_is_done(store: StateStore, writer: Writer):
    def write(number: int) -> bool:
        given = writer.run(partial(insert, name=str(number))).result()
        return given == str(number) and given in names(store)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(write, range(200)))
    assert len(names(store)) == 200


def test_waiting_writes_share_one_transaction(store: StateStore, writer: Writer, monkeypatch: pytest.MonkeyPatch):
    begun, go_on, count = threading.Event(), threading.Event(), [0]
    write = store.write

    def counted():
        count[0] += 1
        return write()

    def slow(connection: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait(LONG_SECONDS)
        insert(connection, "first")

    monkeypatch.setattr(store, "write", counted)
    futures = [writer.run(slow)]
    begun.wait(LONG_SECONDS)
    futures += [writer.run(partial(insert, name=str(number))) for number in range(5)]
    go_on.set()
    for future in futures:
        future.result()

    alone = 0 if store.is_file else 1
    assert count[0] == 1 + alone, "the first is written alone, in an SQLite file without a transaction"
    assert len(names(store)) == 6


def test_a_failed_write_raises_and_leaves_nothing(store: StateStore, writer: Writer):
    writer.run(partial(insert, name="twice")).result()

    with pytest.raises(IntegrityError):
        writer.run(partial(insert, name="twice")).result()
    writer.run(partial(insert, name="later")).result()
    assert names(store) == {"twice", "later"}


def test_waiting_writes_are_written_before_close_returns(store: StateStore):
    writer = Writer(store)
    futures = [writer.run(partial(insert, name=str(number))) for number in range(20)]
    assert not any(future.done() for future in futures)
    writer.start()
    writer.close()

    assert all(future.done() for future in futures)
    assert len(names(store)) == 20


def test_a_write_that_fails_alone_raises_and_the_next_one_is_written(store: StateStore, writer: Writer):
    def wrong(connection: sqlite3.Connection) -> None:
        connection.execute("insert into secrets values ('no value', null)")

    with pytest.raises(IntegrityError):
        writer.run(wrong).result()
    writer.run(partial(insert, name="later")).result()

    assert names(store) == {"later"}


@pytest.fixture
def log(file_store: StateStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Writer, Callable[[], bytes]]]:
    """A writer whose log nobody moves in the background, and its log's salt, which a restart changes."""
    monkeypatch.setattr(module, "_CHECKPOINT_SECONDS", 3_600)
    writer, path = Writer(file_store), file_store.path.with_name(f"{file_store.path.name}-wal")
    writer.start()
    yield writer, lambda: path.read_bytes()[16:24]
    writer.close()


def test_the_writer_moves_a_long_log_and_the_next_write_restarts_it(log: tuple[Writer, Callable[[], bytes]]):
    writer, salt = log
    numbers = map(str, itertools.count())
    writer.run(partial(insert, name=next(numbers))).result()
    before = salt()

    def is_restarted() -> bool:  # not while the other thread opens its connection, which reads
        writer._is_log_long.set()
        for _ in range(2):
            writer.run(partial(insert, name=next(numbers))).result()
        return salt() != before

    wait_until(is_restarted)


def test_the_writer_leaves_a_short_log_alone(log: tuple[Writer, Callable[[], bytes]]):
    writer, salt = log
    writer.run(partial(insert, name="before")).result()
    before = salt()

    for number in range(20):
        writer.run(partial(insert, name=str(number))).result()
    assert salt() == before


def test_the_log_of_sqlite_is_restarted_again_and_again(file_store: StateStore, monkeypatch: pytest.MonkeyPatch):
    store = file_store
    monkeypatch.setattr(module, "_CHECKPOINT_SECONDS", 0.02)
    writer, log = Writer(store), store.path.with_name(f"{store.path.name}-wal")
    writer.start()
    number = itertools.count()

    def write(pages: int) -> None:
        statement = "insert into secrets values (?, zeroblob(?))"
        row = str(next(number)), pages * 4_096
        writer.run(lambda connection: connection.execute(statement, row).rowcount).result()

    write(1)
    for _ in range(4):
        salt = log.read_bytes()[16:24]
        for _ in range(MOST_FRAMES // 8):
            write(10)
        until = time.monotonic() + LONG_SECONDS
        while log.read_bytes()[16:24] == salt:
            assert time.monotonic() < until, "the log is never restarted"
            write(1)
    writer.close()
