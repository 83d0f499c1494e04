"""Blocks are matched in chunks of limited size, and a block above the limit in parts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from quintet.conversions.blocks import WIDTH_SECONDS, chunks

_HOUR = 3_600


def stale(*held: int) -> pd.DataFrame:
    return pd.DataFrame({"block": 100 + np.arange(len(held)), "clicks": held, "broker_rows": 0})


def evenly(held: int) -> Callable[[int], np.ndarray]:
    """Return windows of 28 hours with as many rows in each hour."""
    return lambda _: np.full(28, held)


def test_small_blocks_are_joined_in_order() -> None:
    found = list(chunks(stale(*[90_000] * 5), evenly(1)))

    assert [chunk.blocks.tolist() for chunk in found] == [[100, 101], [102, 103], [104]]
    assert all(chunk.width_seconds == WIDTH_SECONDS and chunk.day is None for chunk in found)


def test_a_block_above_the_limit_is_split_and_its_neighbours_are_not() -> None:
    found = list(chunks(stale(10, 10, 700, 10, 700, 700, 10), evenly(25), largest_block=500))

    days = [chunk.blocks.tolist() if chunk.day is None else chunk.day for chunk in found]
    assert days == [[100, 101], 102, 102, [103], 104, 104, 105, 105, [106]]


@pytest.mark.parametrize(("by_hour", "hours"), [(31, 12), (32, 6), (51, 3), (72, 1), (10**9, 1)])
def test_the_parts_cover_the_day_once_and_are_as_wide_as_the_limit_allows(by_hour: int, hours: int) -> None:
    found = list(chunks(stale(501), evenly(by_hour), largest_block=500))

    assert {chunk.width_seconds for chunk in found} == {hours * _HOUR}
    starts = [int(chunk.blocks[0]) * chunk.width_seconds for chunk in found]
    assert starts == list(range(100 * WIDTH_SECONDS, 101 * WIDTH_SECONDS, hours * _HOUR))


def test_only_the_busy_hours_of_a_day_are_split_further_and_empty_ones_left_out() -> None:
    def busy_at_three(_: int) -> np.ndarray:
        hours = np.zeros(28, dtype=np.int64)
        hours[2 + 3], hours[2 + 20] = 600, 5
        return hours

    found = list(chunks(stale(605), busy_at_three, largest_block=500))

    parts = [(int(chunk.blocks[0]) * chunk.width_seconds // _HOUR - 2_400, chunk.width_seconds) for chunk in found]
    assert parts == [*((hour, _HOUR) for hour in range(1, 6)), (12, 12 * _HOUR)]


def test_no_blocks_give_no_chunks() -> None:
    assert list(chunks(stale(), evenly(1))) == []
