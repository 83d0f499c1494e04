"""Shared statistics, compared with other ways of computing them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from quintet.ml.statistics import others_within, stability, wilson


def test_wilson_equals_the_interval_of_scipy():
    low, high = wilson(np.array([3, 0, 50]), np.array([97, 10, 50]))
    for place, (k, n) in enumerate([(3, 97), (0, 10), (50, 50)]):
        expected = stats.binomtest(k, n).proportion_ci(method="wilson")
        assert (low[place], high[place]) == pytest.approx((expected.low, expected.high))


def test_wilson_without_trials_is_zero_to_one():
    assert [ends[0] for ends in wilson(np.array([0]), np.array([0]))] == [0, 1]


def test_stability_is_zero_for_equal_shares_and_grows_with_the_shift() -> None:
    same, moved, other = np.array([50, 30, 20]), np.array([40, 35, 25]), np.array([5, 15, 80])
    assert stability(same, same * 3) == pytest.approx(0)
    assert 0 < stability(same, moved) < 0.1
    assert stability(same, other) > 0.25
    assert np.isnan(stability(same, np.zeros(3)))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50)), max_size=30), st.integers(0, 20))
def test_others_within_equals_pairwise_counting(given_elements: list[tuple[int, int]], seconds: int) -> None:
    group, at = (np.array([element[side] for element in given_elements], dtype=int) for side in (0, 1))
    one_by_one = ((group[:, None] == group) & (np.abs(at[:, None] - at) <= seconds)).sum(axis=1) - 1
    assert others_within(group, at, seconds).tolist() == one_by_one.tolist()
