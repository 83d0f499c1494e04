"""Writing for many at once: each caller's write is on the disk when it goes on."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from quintet.online.group_commit import GroupCommit
from quintet.online.store import Store


def insert(name: str, connection: sqlite3.Connection) -> None:
    connection.execute("insert into secrets values (?, x'00')", (name,))


def names(store: Store) -> set[str]:
    return {row["name"] for row in store.read().execute("select name from secrets")}


def test_every_write_of_many_threads_is_there_when_its_caller_goes_on(store: Store):
    commits = GroupCommit(store)

    def write(number: int) -> bool:
        commits.run(partial(insert, str(number)))
        return str(number) in names(store)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(write, range(200)))
    assert len(names(store)) == 200


def test_those_who_wait_share_one_transaction(store: Store, monkeypatch: pytest.MonkeyPatch):
    commits, begun, go_on, count = GroupCommit(store), threading.Event(), threading.Event(), [0]
    write = store.write

    def counted():
        count[0] += 1
        return write()

    def slow(connection: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait(5)
        insert("first", connection)

    monkeypatch.setattr(store, "write", counted)
    threads = [threading.Thread(target=commits.run, args=(slow,))]
    threads[0].start()
    begun.wait(5)
    threads += [threading.Thread(target=commits.run, args=(partial(insert, str(number)),)) for number in range(5)]
    for thread in threads[1:]:
        thread.start()
    while len(commits._together._waiting) < 5:
        pass
    go_on.set()
    for thread in threads:
        thread.join()

    assert count[0] == 2
    assert len(names(store)) == 6


def test_a_write_that_fails_is_told_and_leaves_nothing(store: Store):
    commits = GroupCommit(store)
    commits.run(partial(insert, "twice"))

    with pytest.raises(sqlite3.IntegrityError):
        commits.run(partial(insert, "twice"))
    commits.run(partial(insert, "later"))
    assert names(store) == {"twice", "later"}
