"""Fixed thresholds, each just on and just off its edge."""

import numpy as np
import pytest

from quintet.payments import rules


@pytest.mark.parametrize(
    ("count", "expected", "answer"), [(3, 0.0, True), (2, 0.0, False), (12, 9.0, True), (118, 99.0, False)]
)
def test_an_excess_matters_from_three_and_a_fifth(count: int, expected: float, answer: bool):
    assert bool(rules.is_material(np.array(count), np.array(expected))) is answer


@pytest.mark.parametrize(("approved", "expected", "answer"), [(0, 20.0, True), (1, 20.0, False), (0, 19.9, False)])
def test_nothing_approved_where_twenty_are_expected(approved: int, expected: float, answer: bool):
    assert bool(rules.is_zero_approved(np.array(approved), np.array(expected))) is answer


@pytest.mark.parametrize(("denied", "exposure", "answer"), [(50, 199, True), (50, 200, False), (49, 100, False)])
def test_more_than_a_quarter_denied_from_fifty_on(denied: int, exposure: int, answer: bool):
    assert bool(rules.is_denied_quarter(np.array(denied), np.array(exposure))) is answer


@pytest.mark.parametrize(
    ("count", "rate", "expected", "answer"),
    [(5, 0.0004, 0.05, True), (4, 0.0004, 0.05, False), (5, 0.0006, 0.05, False), (5, 0.0004, 4.0, False)],
)
def test_a_burst_of_a_status_that_is_normally_zero(count: int, rate: float, expected: float, answer: bool):
    assert bool(rules.is_burst_of_rare(np.array(count), np.array(rate), np.array(expected))) is answer


@pytest.mark.parametrize(("minutes", "expected", "answer"), [(3, 20.0, True), (2, 500.0, False), (15, 19.0, False)])
def test_a_feed_is_stale_after_three_minutes_in_which_twenty_were_expected(minutes: int, expected: float, answer: bool):
    assert rules.is_feed_stale(minutes, expected) is answer


def test_a_low_volume_needs_a_deeper_drop_by_night_and_without_history():
    by_day, by_night = (
        rules.largest_low_volume(300, 200, has_season=True),
        rules.largest_low_volume(5, 200, has_season=True),
    )

    assert by_night < by_day
    assert rules.largest_low_volume(300, 200, has_season=False) == by_night
    # a small business has few approvals in every hour
    assert rules.largest_low_volume(5, 4, has_season=True) == by_day
    assert rules.is_volume_low(np.array([40, 41]), np.array([100.0, 100.0]), by_day * 100).tolist() == [True, False]
