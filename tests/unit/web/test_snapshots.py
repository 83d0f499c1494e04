"""Access to the current snapshot: one snapshot per request, the newest at its start, with a time limit."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from quintet.warehouse.snapshot import CURRENT, NoSnapshotError
from quintet.web.snapshots import Snapshot, Snapshots, TookTooLongError
from tests.waiting import LONG_SECONDS


@pytest.fixture
def snapshots(serving: Any) -> Iterator[Snapshots]:
    snapshots = Snapshots(serving.folder, longest_seconds=30)
    yield snapshots
    snapshots.close()


def number(snapshot: Snapshot) -> int:
    ((found,),) = snapshot.cursor.execute("select number from marts.numbers").fetchall()
    return int(found)


def test_without_a_snapshot_it_says_so(snapshots: Snapshots) -> None:
    with pytest.raises(NoSnapshotError, match="make run"), snapshots.read():
        pass


def test_a_new_snapshot_is_read_by_the_next_request(serving: Any, snapshots: Snapshots) -> None:
    for version in (1, 2):
        serving.publish(f"run{version}", version)
        with snapshots.read() as snapshot:
            assert (snapshot.snapshot_id, number(snapshot)) == (f"run{version}", version)


def test_a_request_keeps_its_snapshot_after_it_is_replaced_and_removed(serving: Any, snapshots: Snapshots) -> None:
    path = serving.publish("run1", 1)
    with snapshots.read() as before:
        serving.publish("run2", 2)
        path.unlink()
        with snapshots.read() as after:
            assert (number(before), number(after)) == (1, 2)
        assert number(before) == 1


def test_a_replaced_snapshot_is_closed_when_its_last_request_ends(serving: Any, snapshots: Snapshots) -> None:
    serving.publish("run1", 1)
    with snapshots.read() as before:
        opened = snapshots._current
        serving.publish("run2", 2)
        with snapshots.read():
            pass
        assert opened is not None
        assert number(before) == 1
    with pytest.raises(Exception, match="closed"):
        opened.connection.execute("select 1")


def test_a_slow_query_is_interrupted(serving: Any) -> None:
    serving.publish("run1")
    snapshots = Snapshots(serving.folder, longest_seconds=0.2)
    began = time.monotonic()
    with pytest.raises(TookTooLongError, match=r"longer than 0\.2 s"), snapshots.read() as snapshot:
        snapshot.cursor.execute("select count(*) from range(1000000000) a, range(1000) b where a.range % 7 = b.range")
    assert time.monotonic() - began < LONG_SECONDS  # the whole query takes days
    with snapshots.read() as snapshot:
        assert number(snapshot) == 0
    snapshots.close()


def test_many_threads_read_while_snapshots_are_replaced(serving: Any, snapshots: Snapshots) -> None:
    serving.publish("run0", 0)
    done = threading.Event()
    faults: list[Exception] = []
    seen: set[int] = set()

    def read() -> None:
        try:
            while not done.is_set():
                with snapshots.read() as snapshot:
                    assert snapshot.snapshot_id == f"run{number(snapshot)}"
                    seen.add(number(snapshot))
        except Exception as fault:
            faults.append(fault)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    paths = [serving.publish(f"run{version}", version) for version in range(1, 21)]
    for path in paths[:-3]:
        path.unlink()
    done.set()
    for reader in readers:
        reader.join()
    assert faults == []
    assert len(seen) > 1


def _publish_broken(serving: Any, name: str) -> None:
    """Make a file that is no database the current snapshot."""
    broken = serving.folder / f"{name}.duckdb"
    broken.write_bytes(b"no database at all" * 1_000)
    link = serving.folder / "link"
    link.symlink_to(broken.name)
    link.replace(serving.folder / CURRENT)


def test_a_snapshot_that_cannot_be_opened_leaves_the_former_one_serving(serving: Any, snapshots: Snapshots) -> None:
    serving.publish("run1", 1)
    with snapshots.read() as snapshot:
        assert number(snapshot) == 1
    _publish_broken(serving, "broken")
    for _ in range(3):
        with snapshots.read() as snapshot:
            assert (snapshot.snapshot_id, number(snapshot)) == ("run1", 1)


def test_a_former_snapshot_says_that_it_is_not_the_current_one(
    serving: Any, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quintet.web.snapshots._RETRY_SECONDS", 0.0)
    serving.publish("run1", 1)
    with snapshots.read() as snapshot:
        assert snapshot.fault == ""
    _publish_broken(serving, "broken")
    with snapshots.read() as snapshot:
        assert "cannot be opened" in snapshot.fault
    serving.publish("run2", 2)
    with snapshots.read() as snapshot:
        assert snapshot.fault == ""


def test_after_a_start_the_latest_snapshot_that_can_be_opened_is_served(serving: Any, snapshots: Snapshots) -> None:
    for version, seconds in ((1, 100), (2, 200)):
        os.utime(serving.publish(f"run{version}", version), (seconds, seconds))
    _publish_broken(serving, "broken")
    for _ in range(2):
        with snapshots.read() as snapshot:
            assert (snapshot.snapshot_id, "cannot be opened" in snapshot.fault) == ("run2", True)


def test_the_next_good_snapshot_is_served_again(
    serving: Any, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quintet.web.snapshots._RETRY_SECONDS", 0.0)
    serving.publish("run1", 1)
    with snapshots.read():
        pass
    _publish_broken(serving, "broken")
    with snapshots.read() as snapshot:
        assert number(snapshot) == 1
    serving.publish("run2", 2)
    with snapshots.read() as snapshot:
        assert number(snapshot) == 2


def test_a_broken_snapshot_without_a_former_one_is_an_error(serving: Any, snapshots: Snapshots) -> None:
    _publish_broken(serving, "broken")
    with pytest.raises(duckdb.Error), snapshots.read():
        pass
