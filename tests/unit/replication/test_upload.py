"""The uploader: it acknowledges the contiguous prefix only, and loses nothing if the store fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import obstore
import pytest
from obstore.store import MemoryStore

from quintet.change_log.change import Change, Position
from quintet.change_log.log import Stretch, read_stretch, stretches
from quintet.replication import upload
from quintet.replication.upload import Piece, Uploader
from tests.waiting import LONG_SECONDS, wait_until


def _piece(lsn: int, flushable: bool = True) -> Piece:
    change = Change(lsn, 0, "2026-01-01T00:00:00.000000Z", "loan", "insert", "s", {"id": lsn}, None, ())
    return Piece([change], Position(lsn + 1), lsn + 1 if flushable else None)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[int, threading.Event]]:
    """Events by start of a stretch: its write waits for the event."""
    gates: dict[int, threading.Event] = {}
    write = upload.write_stretch

    def wait_and_write(store: MemoryStore, stretch: Stretch, changes: list[Change]) -> int:
        if stretch.start.lsn in gates:
            gates[stretch.start.lsn].wait(LONG_SECONDS)
        return write(store, stretch, changes)

    monkeypatch.setattr(upload, "write_stretch", wait_and_write)
    yield gates
    for event in gates.values():
        event.set()


def test_objects_follow_without_a_gap(store: MemoryStore) -> None:
    uploader = Uploader(store, "E", Position(0))
    for lsn in range(20):
        uploader.offer([_piece(lsn)])
    uploader.finish(20)
    assert uploader.flushed == 20
    found = stretches(store, "E")
    assert found[0].start == Position(0)
    assert found[-1].end == Position(20)
    assert [change.commit_lsn for stretch in found for change in read_stretch(store, stretch)] == list(range(20))


def test_small_commits_share_an_object_and_one_after_a_pause_is_written_at_once(store: MemoryStore) -> None:
    uploader = Uploader(store, "E", Position(0), least_seconds=3_600)
    uploader.offer([_piece(0)])
    wait_until(lambda: uploader.flushed == 1)
    for lsn in range(1, 20):
        uploader.offer([_piece(lsn)])
    time.sleep(0.05)
    assert uploader.flushed == 1
    uploader.close()
    assert len(stretches(store, "E")) == 1


def test_an_acknowledgement_out_of_order_counts_only_with_all_before_it(
    store: MemoryStore, gate: dict[int, threading.Event]
) -> None:
    gate[0] = threading.Event()
    uploader = Uploader(store, "E", Position(0), most_events=1)
    uploader.offer([_piece(0)])
    uploader.offer([_piece(1)])
    wait_until(lambda: len(stretches(store, "E")) == 1)
    assert uploader.flushed is None
    gate[0].set()
    wait_until(lambda: uploader.flushed == 2)
    uploader.close()


def test_a_part_of_a_transaction_is_not_acknowledged(store: MemoryStore) -> None:
    uploader = Uploader(store, "E", Position(0), most_events=1)
    uploader.offer([_piece(0), _piece(1, flushable=False)])
    wait_until(lambda: len(stretches(store, "E")) == 2 and uploader.is_idle)
    assert uploader.flushed == 1
    uploader.close()


def test_a_refused_write_is_repeated_until_it_succeeds(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write, refusals = upload.write_stretch, [OSError("down")] * 3

    def refuse(*arguments: object) -> int:
        if refusals:
            raise refusals.pop()
        return write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(upload, "write_stretch", refuse)
    uploader = Uploader(store, "E", Position(0))
    uploader.offer([_piece(0)])
    wait_until(lambda: uploader.is_failing)
    assert uploader.flushed is None
    wait_until(lambda: uploader.flushed == 1)
    assert not uploader.is_failing
    uploader.close()


def test_closing_ends_a_writer_that_is_refused(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "write_stretch", lambda *_: (_ for _ in ()).throw(OSError("down")))
    uploader = Uploader(store, "E", Position(0))
    uploader.offer([_piece(0)])
    wait_until(lambda: uploader.is_failing)
    uploader.close()
    assert uploader.flushed is None


def test_quarantined_changes_lie_beside_the_log_and_are_acknowledged_with_it(store: MemoryStore) -> None:
    uploader = Uploader(store, "E", Position(0))
    piece = _piece(0)
    piece.quarantined, piece.changes = piece.changes, []
    uploader.offer([piece])
    uploader.finish(20)
    assert uploader.flushed == 1
    assert read_stretch(store, stretches(store, "E")[0]) == []
    assert [change.commit_lsn for change in read_stretch(store, stretches(store, "E", "quarantine")[0])] == [0]
    assert obstore.list(store, "quarantine/").collect()
