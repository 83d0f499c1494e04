"""Estimating the offset of a partner's clock, and its changes."""

import numpy as np
import pytest

from quintet.conversions.clock import conversion_index, estimate_clock

_DAY = 86_400
_START = 1_700_000_000


def _world(rows: int, days: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return country and time of conversions, and lags of a few minutes."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.integers(0, days * _DAY, rows)) + _START
    return rng.integers(0, 20, rows), at, np.rint(rng.lognormal(np.log(120), 1, rows)).astype(np.int64)


@pytest.mark.parametrize("offset_seconds", [0, 7_200, -5 * 3_600, 20_700])
def test_a_constant_offset_is_found(offset_seconds, random_seed):
    country, at, lag = _world(4_000, 20, random_seed)
    [stretch] = estimate_clock(conversion_index(country, at), country, at + lag + offset_seconds)
    assert (stretch.offset_seconds, stretch.is_clear) == (offset_seconds, True)


@pytest.mark.parametrize(("unit_seconds", "found_seconds"), [(60, 7_200 - 59), (1, 7_200)])
def test_a_clock_that_cuts_its_times_to_minutes_is_read_at_the_end_of_the_minute(
    unit_seconds, found_seconds, random_seed
):
    country, at, _ = _world(4_000, 20, random_seed)
    own_at = (at + 2 + 7_200) // unit_seconds * unit_seconds
    [stretch] = estimate_clock(conversion_index(country, at), country, own_at)
    assert (stretch.offset_seconds, stretch.is_clear) == (found_seconds, True)


def test_a_clock_that_rounds_up_is_read_as_it_is(random_seed):
    country, at, _ = _world(4_000, 20, random_seed)
    own_at = -(-(at + 2 + 7_200) // 60) * 60
    [stretch] = estimate_clock(conversion_index(country, at), country, own_at)
    assert stretch.offset_seconds == 7_200


def test_a_change_midway_is_found_to_within_an_hour(random_seed):
    country, at, lag = _world(6_000, 30, random_seed)
    changed = _START + 15 * _DAY
    own_at = at + lag + np.where(at + lag < changed, 3_600, 7_200)
    first, second = estimate_clock(conversion_index(country, at), country, np.sort(own_at))
    assert (first.offset_seconds, second.offset_seconds) == (3_600, 7_200)
    assert abs(second.from_at - changed - 5_400) <= 5_400


def test_rows_unrelated_to_conversions_have_no_clear_clock(random_seed):
    country, at, _ = _world(4_000, 20, random_seed)
    other_country, other_at, _ = _world(4_000, 20, random_seed + 1_000)
    assert not any(each.is_clear for each in estimate_clock(conversion_index(country, at), other_country, other_at))


@pytest.mark.parametrize(("conversions", "rows"), [(0, 10), (10, 0), (0, 0)])
def test_an_empty_side_has_no_clear_clock(conversions, rows):
    country, at, _ = _world(10, 1, 1)
    [stretch] = estimate_clock(conversion_index(country[:conversions], at[:conversions]), country[:rows], at[:rows])
    assert (stretch.offset_seconds, stretch.is_clear) == (0, False)
