"""The log in a store: order without repeats, gaps that stop a reader, and damaged objects."""

from __future__ import annotations

import gzip
from itertools import pairwise

import obstore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from quintet.change_log.change import Change, Position, decode_lines, encode_lines
from quintet.change_log.log import (
    DamagedObjectError,
    Epoch,
    LogUrlError,
    Stretch,
    covered_until,
    covering,
    open_store,
    read_stretch,
    remove_damaged,
    stretches,
    write_stretch,
)
from tests.change_log import logged_changes

_EPOCH = Epoch("E", Position(0), Position(1), "2026-01-01T00:00:00.000000Z", "1")


def _change(lsn: int, sequence: int = 0) -> Change:
    return Change(
        lsn, sequence, "2026-01-01T00:00:00.000000Z", "loan", "insert", "s", {"id": lsn, "n": "ž\n"}, None, ()
    )


def _write(store: MemoryStore, start: int, end: int) -> None:
    changes = [_change(lsn) for lsn in range(start, end)]
    write_stretch(store, Stretch("E", Position(start), Position(end)), changes)


def _read(store: MemoryStore) -> list[int]:
    return [change.commit_lsn for change in logged_changes(store, _EPOCH)]


def test_a_line_is_read_as_it_was_written() -> None:
    changes = [_change(7), _change(7, 1)._replace(operation="update", old={"id": 1}, row=None, unchanged=("a", "b"))]
    assert list(decode_lines(encode_lines(changes))) == changes


def test_a_value_that_json_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        encode_lines([_change(1)._replace(row={"id": b"1"})])


@given(st.lists(st.integers(0, 2**63), min_size=2), st.lists(st.integers(0, 99_999_999), min_size=2))
def test_positions_sort_as_text(lsns: list[int], sequences: list[int]) -> None:
    places = [Position(*pair) for pair in zip(lsns, sequences, strict=False)]
    assert [str(place) for place in sorted(places)] == sorted(str(place) for place in places)
    assert [Position.parse(str(place)) for place in places] == places


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12))))
def test_after_any_restart_each_change_is_read_once_up_to_the_first_gap(spans: list[tuple[int, int]]) -> None:
    store = MemoryStore()
    for start, length in spans:
        _write(store, start, start + length)
    held = {lsn for start, length in spans for lsn in range(start, start + length)}
    gapless = next(lsn for lsn in range(100) if lsn not in held)
    assert _read(store) == list(range(gapless))


def test_objects_beyond_a_gap_are_not_read_until_the_gap_is_filled() -> None:
    store = MemoryStore()
    _write(store, 0, 2)
    _write(store, 5, 8)
    assert _read(store) == [0, 1]
    assert covered_until(stretches(store, "E"), Position(0)) == Position(2)
    _write(store, 2, 6)
    assert _read(store) == list(range(8))


def test_a_stretch_is_read_from_the_end_of_the_previous_one() -> None:
    store = MemoryStore()
    for start, end in ((0, 4), (2, 3), (3, 9), (4, 6), (9, 10)):
        _write(store, start, end)
    read = list(covering(stretches(store, "E"), Position(0)))
    assert len(read) > 1
    assert all(one[0].end == other[1] for one, other in pairwise(read))


@pytest.mark.parametrize("keep", [0, 5, -1])
def test_a_truncated_object_is_found_and_removed_by_the_writer(keep: int) -> None:
    store = MemoryStore()
    _write(store, 0, 2)
    _write(store, 2, 5)
    cut = Stretch("E", Position(2), Position(5))
    obstore.put(store, cut.key, bytes(obstore.get(store, cut.key).bytes())[:keep])
    with pytest.raises(DamagedObjectError, match="0000000000000002"):
        read_stretch(store, cut)
    assert remove_damaged(store, "E", Position(2)) == [cut.key]
    assert _read(store) == [0, 1]


def test_complete_and_earlier_objects_are_not_removed() -> None:
    store = MemoryStore()
    _write(store, 0, 2)
    _write(store, 2, 5)
    assert remove_damaged(store, "E", Position(2)) == []
    assert _read(store) == [0, 1, 2, 3, 4]


def test_an_object_is_gzipped_lines_of_json() -> None:
    store = MemoryStore()
    _write(store, 3, 4)
    content = bytes(obstore.get(store, stretches(store, "E")[0].key).bytes())
    assert b'"commit_lsn":3' in gzip.decompress(content)


@pytest.mark.parametrize("url", ["http://host", "ftp://host/bucket", "bucket", "http://key:word@host/a/b", "s3://b/c"])
def test_a_url_that_is_no_bucket_is_refused_without_its_secret(url: str) -> None:
    with pytest.raises(LogUrlError) as refused:
        open_store(url)
    assert "word" not in str(refused.value)
