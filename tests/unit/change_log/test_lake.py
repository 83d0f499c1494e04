"""The lake: compacted changes equal the log, once and in order; only compacted objects expire."""

from __future__ import annotations

import datetime as dt

import obstore
import pyarrow as pa
import pytest
from obstore.store import MemoryStore

from quintet.change_log import lake
from quintet.change_log.change import Change, Position
from quintet.change_log.lake import compact, covered, expire, read_history, read_manifest
from quintet.change_log.log import Epoch, Stretch, stretches, write_stretch

_EPOCH = Epoch("E", Position(0), Position(1), "2026-01-01T00:00:00.000000Z", "1")
_LATER = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)


def _change(lsn: int, day: int) -> Change:
    row = {"id": lsn, "name": "ž", "amount": 0.1, "nothing": None}
    return Change(lsn, 0, f"2026-01-{day:02}T00:00:00.000000Z", "loan", "update", "s", row, {"id": 1}, ("note",))


def _write(store: MemoryStore, start: int, end: int, day: int = 1) -> None:
    changes = [_change(lsn, day) for lsn in range(start, end)]
    write_stretch(store, Stretch("E", Position(start), Position(end)), changes)


def _history(store: MemoryStore, after: Position | None = None) -> list[Change]:
    return [change for changes, _ in read_history(store, _EPOCH, after) for change in changes]


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    for start, end, day in ((0, 3, 1), (3, 5, 1), (5, 9, 2), (9, 10, 2)):
        _write(store, start, end, day)
    return store


def test_compacted_changes_equal_the_log(store: MemoryStore) -> None:
    before = _history(store)
    assert compact(store, _EPOCH).changes == 10
    assert expire(store, _EPOCH, _LATER) == 4
    assert _history(store) == before
    assert _history(store, Position(4)) == before[4:]


def test_a_day_has_one_file_however_often_it_is_compacted(store: MemoryStore) -> None:
    compact(store, _EPOCH)
    _write(store, 10, 12, day=2)
    assert compact(store, _EPOCH).days == ("2026-01-02",)
    files = [entry["path"] for page in obstore.list(store, "lake/changes/") for entry in page]
    assert [part.day for part in read_manifest(store, _EPOCH).parts] == ["2026-01-01", "2026-01-02"]
    assert len(files) == 2
    assert [change.commit_lsn for change in _history(store)] == list(range(12))


def test_a_large_file_is_kept_and_another_started(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake, "_SMALL_ROWS", 2)
    compact(store, _EPOCH, most_changes=1)
    assert len(read_manifest(store, _EPOCH).parts) == 4
    assert [change.commit_lsn for change in _history(store)] == list(range(10))


def test_an_empty_object_at_the_end_is_read_before_and_after_compaction(store: MemoryStore) -> None:
    """Snapshots and stopped streams end with an empty object; the position must move beyond the last row."""
    write_stretch(store, Stretch("E", Position(10), Position(14)), [])
    ends = [[end for _, end in read_history(store, _EPOCH)]]
    compact(store, _EPOCH)
    ends.append([end for _, end in read_history(store, _EPOCH)])
    ends.append([end for _, end in read_history(store, _EPOCH, Position(10))])
    assert [one[-1] for one in ends] == [Position(14)] * 3
    assert ends[0][-1] == covered(store, _EPOCH)
    assert list(read_history(store, _EPOCH, Position(14))) == []


def test_compacting_again_does_nothing(store: MemoryStore) -> None:
    compact(store, _EPOCH)
    assert compact(store, _EPOCH).changes == 0


def test_an_interrupted_compaction_changes_nothing(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(lake, "_write_manifest", lambda *_: (_ for _ in ()).throw(OSError("cut short")))
        with pytest.raises(OSError, match="cut short"):
            compact(store, _EPOCH)
    assert [change.commit_lsn for change in _history(store)] == list(range(10))
    obstore.put(store, "lake/changes/epoch=E/day=2026-01-01/left.parquet", b"half")
    compact(store, _EPOCH)
    files = {entry["path"] for page in obstore.list(store, "lake/changes/") for entry in page}
    assert files == {part.key for part in read_manifest(store, _EPOCH).parts}
    assert [change.commit_lsn for change in _history(store)] == list(range(10))


def test_objects_that_are_not_in_the_lake_or_too_young_do_not_expire(store: MemoryStore) -> None:
    assert expire(store, _EPOCH, _LATER) == 0
    compact(store, _EPOCH)
    _write(store, 10, 12)
    assert expire(store, _EPOCH, dt.datetime(2000, 1, 1, tzinfo=dt.UTC)) == 0
    assert expire(store, _EPOCH, _LATER) == 4
    assert [stretch.start for stretch in stretches(store, "E")] == [Position(10)]


def test_compaction_stops_at_a_gap_and_at_a_damaged_object(store: MemoryStore) -> None:
    _write(store, 11, 12)
    assert compact(store, _EPOCH).changes == 10
    _write(store, 10, 11)
    damaged = Stretch("E", Position(11), Position(12))
    obstore.put(store, damaged.key, bytes(obstore.get(store, damaged.key).bytes())[:9])
    assert compact(store, _EPOCH).changes == 1
    assert read_manifest(store, _EPOCH).compacted_to == Position(11)


def test_the_covered_position_includes_lake_and_log(store: MemoryStore) -> None:
    compact(store, _EPOCH)
    expire(store, _EPOCH, _LATER)
    assert covered(store, _EPOCH) == Position(10)
    _write(store, 10, 14)
    assert covered(store, _EPOCH) == Position(14)


def test_files_from_before_tables_were_known_by_schema_are_read_and_continued(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        fields = [field for field in lake.SCHEMA if field.name != "namespace"]
        earlier.setattr(lake, "SCHEMA", pa.schema(fields))
        compact(store, _EPOCH)
    archived = _change(10, 2)._replace(namespace="archive")
    write_stretch(store, Stretch("E", Position(10), Position(11)), [archived])
    compact(store, _EPOCH)
    expire(store, _EPOCH, _LATER)
    found = _history(store)
    assert [change.namespace for change in found] == ["public"] * 10 + ["archive"]
    assert [change.commit_lsn for change in found] == list(range(11))
