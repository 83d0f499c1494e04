"""The feature store: a draft is written completely or not at all, and reads its unwritten changes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from quintet.state.features import CheckpointThread, FeatureStore
from tests.waiting import LONG_SECONDS, wait_until


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeatureStore]:
    store = FeatureStore(tmp_path)
    yield store
    store.close()


def test_a_draft_reads_its_unwritten_changes(store: FeatureStore) -> None:
    with store.change() as draft:
        draft.put_row("loan", "1", "7", {"id": 1})
        draft.put_states("7", {"a": {}})
        assert draft.row("loan", "1") == {"id": 1}
        assert draft.children("loan", "7") == [("1", {"id": 1})]
        assert draft.states("7") == {"a": {}}
        assert store.row("loan", "1") is None
    assert store.row("loan", "1") == {"id": 1}
    assert list(store.all_states()) == [("7", {"a": {}})]


def test_children_come_from_file_and_draft_without_moved_and_removed_ones(store: FeatureStore) -> None:
    with store.change() as draft:
        for key in ("1", "2", "3"):
            draft.put_row("loan", key, "7", {"id": int(key)})
    with store.change() as draft:
        draft.put_row("loan", "1", "8", {"id": 1})
        draft.put_row("loan", "2", None, None)
        draft.put_row("loan", "4", "7", {"id": 4})
        assert [key for key, _ in draft.children("loan", "7")] == ["3", "4"]
        assert [key for key, _ in draft.children("loan", "8")] == ["1"]
        assert draft.table_keys("loan") == ["1", "3", "4"]
    assert sorted(store.keys("loan")) == ["1", "3", "4"]


def test_a_draft_that_fails_writes_nothing(store: FeatureStore) -> None:
    def fail() -> None:
        with store.change() as draft:
            draft.put_row("loan", "1", "7", {"id": 1})
            draft.put_fact("position", "1")
            raise RuntimeError("power")

    with pytest.raises(RuntimeError, match="power"):
        fail()
    assert store.row("loan", "1") is None
    assert store.fact("position") is None


def test_facts_are_stored_replaced_and_removed(store: FeatureStore) -> None:
    with store.change() as draft:
        draft.put_fact("position", "1")
        draft.put_fact("epoch", "E")
    store.keep("position", "2")
    with store.change() as draft:
        draft.put_fact("epoch", None)
    assert (store.fact("position"), store.fact("epoch")) == ("2", None)


def test_states_are_read_with_the_facts_of_the_same_moment(store: FeatureStore) -> None:
    with store.change() as draft:
        draft.put_states("7", {"a": 1})
        draft.put_fact("position", "1")
    assert store.states("7") == ({"a": 1}, {"position": "1"})
    assert store.states("8") == (None, {"position": "1"})


def test_clearing_removes_everything(store: FeatureStore) -> None:
    with store.change() as draft:
        draft.put_row("loan", "1", "7", {"id": 1})
        draft.put_fact("position", "1")
    store.clear()
    assert store.keys("loan") == []
    assert store.fact("position") is None


def test_a_checkpoint_moves_the_log_into_the_file_and_a_long_one_makes_the_writer_wait(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = store.path.with_name(f"{store.path.name}-wal")
    with store.writing():
        for number in range(2_000):
            store.keep("position", str(number))
        size = log.stat().st_size
        assert size > 2_000 * 4_096  # nothing was moved meanwhile
        monkeypatch.setattr("quintet.state.features._CHECKPOINT_FRAMES", 100)
        store.checkpoint()
        store.keep("position", "2000")
        assert log.stat().st_size == size  # the log restarts and does not grow
    assert store.fact("position") == "2000"


def test_the_checkpoint_thread_returns_the_value_that_is_safe(store: FeatureStore) -> None:
    store.keep("flushed", "7")
    thread = CheckpointThread(store, "flushed", seconds=60)
    assert thread.kept is None
    assert thread.keep() == thread.kept == "7"
    store.keep("flushed", "8")
    assert thread.kept == "7"


def test_a_value_that_a_long_read_keeps_out_of_the_file_is_not_safe(store: FeatureStore) -> None:
    store.keep("flushed", "7")
    thread = CheckpointThread(store, "flushed", seconds=60)
    thread.keep()
    with sqlite3.connect(store.path) as reader:
        reader.execute("begin")
        reader.execute("select * from facts").fetchall()
        store.keep("flushed", "8")
        assert thread.keep() == "7"
        reader.execute("commit")
    reader.close()
    assert thread.keep() == "8"


def test_the_checkpoint_thread_closes_its_connection(store: FeatureStore) -> None:
    before = len(store._store.database._connections)
    for _ in range(3):
        with CheckpointThread(store, "flushed", seconds=0.001) as thread:
            store.keep("flushed", "7")
            _await_kept(thread, "7")
    assert len(store._store.database._connections) == before


def _await_kept(thread: CheckpointThread, value: str) -> None:
    wait_until(lambda: thread.kept == value)


def test_the_checkpoint_thread_raises_the_disks_error(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(FeatureStore, "checkpoint", refuse)
    thread = CheckpointThread(store, "flushed", seconds=0.001)
    with thread, pytest.raises(sqlite3.OperationalError, match="full"):
        _read_until_it_raises(thread)


def _read_until_it_raises(thread: CheckpointThread) -> None:
    until = time.monotonic() + LONG_SECONDS
    while time.monotonic() < until:
        assert thread.kept is None
        time.sleep(0.001)
