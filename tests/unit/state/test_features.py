"""The features' file: a draft is written as a whole or not at all, and reads what it has not written yet."""

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


def test_a_draft_reads_what_it_has_not_written_yet(store: FeatureStore) -> None:
    with store.change() as draft:
        draft.put_row("loan", "1", "7", {"id": 1})
        draft.put_states("7", {"a": {}})
        assert draft.row("loan", "1") == {"id": 1}
        assert draft.children("loan", "7") == [("1", {"id": 1})]
        assert draft.states("7") == {"a": {}}
        assert store.row("loan", "1") is None
    assert store.row("loan", "1") == {"id": 1}
    assert list(store.all_states()) == [("7", {"a": {}})]


def test_children_are_those_of_the_file_and_of_the_draft_without_those_that_moved_or_ended(store: FeatureStore) -> None:
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


def test_facts_are_kept_replaced_and_forgotten(store: FeatureStore) -> None:
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
        assert log.stat().st_size == size  # it begins at its start again and does not grow
    assert store.fact("position") == "2000"


def test_a_keeper_tells_the_value_that_is_safe(store: FeatureStore) -> None:
    store.keep("flushed", "7")
    keeper = CheckpointThread(store, "flushed", seconds=60)
    assert keeper.kept is None
    assert keeper.keep() == keeper.kept == "7"
    store.keep("flushed", "8")
    assert keeper.kept == "7"


def test_what_a_long_reader_keeps_from_the_file_is_not_told_to_be_safe(store: FeatureStore) -> None:
    store.keep("flushed", "7")
    keeper = CheckpointThread(store, "flushed", seconds=60)
    keeper.keep()
    with sqlite3.connect(store.path) as reader:
        reader.execute("begin")
        reader.execute("select * from facts").fetchall()
        store.keep("flushed", "8")
        assert keeper.keep() == "7"
        reader.execute("commit")
    reader.close()
    assert keeper.keep() == "8"


def test_a_keeper_leaves_no_connection_behind(store: FeatureStore) -> None:
    before = len(store._store._connections)
    for _ in range(3):
        with CheckpointThread(store, "flushed", seconds=0.001) as keeper:
            store.keep("flushed", "7")
            _await_kept(keeper, "7")
    assert len(store._store._connections) == before


def _await_kept(keeper: CheckpointThread, value: str) -> None:
    wait_until(lambda: keeper.kept == value)


def test_a_keeper_raises_what_the_disk_refused_with(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(FeatureStore, "checkpoint", refuse)
    keeper = CheckpointThread(store, "flushed", seconds=0.001)
    with keeper, pytest.raises(sqlite3.OperationalError, match="full"):
        _ask_until_it_raises(keeper)


def _ask_until_it_raises(keeper: CheckpointThread) -> None:
    until = time.monotonic() + LONG_SECONDS
    while time.monotonic() < until:
        assert keeper.kept is None
        time.sleep(0.001)
