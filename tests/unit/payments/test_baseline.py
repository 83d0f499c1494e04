"""The baseline that the detector trains on usual minutes."""

import json

import numpy as np
import pytest

from quintet.payments.baseline import MINUTES_PER_DAY, Baseline, quiet_hours_factor
from quintet.payments.detector import Detector
from quintet.payments.incidents import to_datetime

START = MINUTES_PER_DAY * 19_000


def led(minutes: int, counts, first: int = START) -> Detector:
    """Return a detector after so many minutes; counts: from the minute's number to counts by status."""
    detector = Detector()
    for number in range(minutes):
        detector.observe(to_datetime(first + number), counts(number))
    return detector


def test_the_denied_share_is_expected_to_nearly_double_in_quiet_hours():
    assert quiet_hours_factor(0) == pytest.approx(1.8)
    assert quiet_hours_factor(400) == pytest.approx(1.0, abs=0.05)


def test_a_rate_is_trained():
    baseline = Baseline(["denied", "failed"])
    before = baseline.expect(START).rate
    detector = led(600, lambda _: {"approved": 360, "denied": 72, "failed": 0})
    trained = detector._expectations[-1]

    assert trained.rate[0] == pytest.approx(72 / 432, rel=0.05)
    assert trained.rate[0] > 1.5 * before[0]
    assert trained.rate[1] < 0.1 * before[1]


def test_volume_follows_the_last_minutes_first_and_earlier_days_once_there_are_any():
    by_hour = lambda number: {"approved": 300 if number % MINUTES_PER_DAY >= 720 else 100, "denied": 20}  # noqa: E731
    first_day = led(700, by_hour)._expectations[-1]
    second_day = led(MINUTES_PER_DAY + 735, by_hour)._expectations[-1]

    assert not first_day.has_season
    assert first_day.volume == pytest.approx(100, rel=0.01)
    assert second_day.has_season
    assert second_day.volume == pytest.approx(300, rel=0.1)  # a quarter of an hour after the step, not an hour


def test_dispersion_is_trained_where_counts_scatter_more_than_chance():
    rng = np.random.default_rng(1)
    waves = np.repeat(rng.gamma(10, 0.1, 400), 5)
    calm = led(1_500, lambda _: {"approved": 360, "denied": 40, "reversed": int(rng.poisson(8))})
    wild = led(1_500, lambda number: {"approved": 360, "denied": 40, "reversed": int(rng.poisson(8 * waves[number]))})

    assert wild._expectations[-1].shape[1, 2] < 0.5 * calm._expectations[-1].shape[1, 2]


@pytest.mark.parametrize(("minutes", "is_used"), [(200, False), (600, True)])
def test_an_incident_does_not_train_the_baseline_until_it_has_lasted_four_hours(minutes: int, is_used: bool):
    rng = np.random.default_rng(1)
    counts = lambda number: {"approved": 360, "denied": 40, "reversed": int(rng.poisson(12 if number >= 300 else 3))}  # noqa: E731
    usual, after = led(300, counts)._expectations[-1], led(300 + minutes, counts)._expectations[-1]

    assert (after.rate[2] > 2 * usual.rate[2]) == is_used


def test_a_rate_is_interpolated_between_half_hours_and_less_certain_where_it_changes():
    baseline = Baseline(["denied", "failed"])
    shares = np.array([[0.15, 0.1], [0.12, 0.1], [0.09, 0.1]])
    baseline.season_exposure[9:12] = 100_000
    baseline.season_events[9:12] = 100_000 * shares
    baseline.total_events, baseline.total_exposure = np.array([1.2e4, 1e4]), np.full(2, 1e5)
    baseline.level_events = baseline.level_expected = np.full(2, 1e5)
    expected = [baseline.expect(minute) for minute in range(START + 300, START + 330)]

    by_minute = np.array([one.rate for one in expected])
    assert by_minute[0] == pytest.approx([0.1345, 0.1], rel=0.01)
    assert by_minute[-1] == pytest.approx([0.1055, 0.1], rel=0.01)
    assert (np.diff(by_minute[:, 0]) < 0).all()
    assert expected[0].shape[0, 0] < 0.6 * expected[0].shape[0, 1]


def test_a_state_survives_json():
    baseline = led(200, lambda _: {"approved": 100, "denied": 10, "novel": 1})._baseline
    again = Baseline.from_json(json.loads(json.dumps(baseline.to_json(), allow_nan=False)))
    minute = START + 200

    assert again.to_json() == baseline.to_json()
    assert again.expect(minute).rate.tolist() == baseline.expect(minute).rate.tolist()


def test_a_state_of_a_version_without_interpolation_is_restored():
    baseline = led(200, lambda _: {"approved": 100, "denied": 10})._baseline
    state = json.loads(json.dumps(baseline.to_json()))
    del state["season_factors"], state["season_variance"]
    again = Baseline.from_json(state | {"season_factor": [1.0] * len(baseline.statuses)})

    assert again.expect(START + 200).rate == pytest.approx(baseline.expect(START + 200).rate)


@pytest.mark.parametrize(("weeks", "is_known"), [(1, False), (2, True)])
def test_an_incident_that_repeats_a_week_later_is_usual(weeks: int, is_known: bool):
    baseline = Baseline(["denied"])
    start = START - START % (7 * MINUTES_PER_DAY)
    for week in range(weeks):
        at = start + week * 7 * MINUTES_PER_DAY
        for minute in range(at, at + 120):
            baseline._update_volume(minute, 100.0)
        baseline.doubtful = [(minute, 20.0) for minute in range(at + 180, at + 240)]
        baseline.end_doubt(at + 240, is_usual=False, is_recovered=True)
        baseline._update_volume(at + 240, 100.0)
    expected = baseline.history.at_time_of(start + weeks * 7 * MINUTES_PER_DAY + 210, (7,))

    assert expected == ([20.0] if is_known else [])


def test_an_incident_that_lasted_too_long_to_be_one_is_usual_on_the_next_day():
    baseline = Baseline(["denied"])
    for minute in range(START, START + 60):
        baseline._update_volume(minute, 100.0)
    baseline.doubtful = [(minute, 20.0) for minute in range(START + 60, START + 300)]
    baseline.end_doubt(START + 300, is_usual=True, is_recovered=False)
    baseline._update_volume(START + 300, 20.0)

    assert baseline.history.at_time_of(START + MINUTES_PER_DAY + 180, (1,)) == [20.0]


@pytest.mark.parametrize(("is_recovered", "share"), [(True, 1.0), (False, 0.25)])
def test_a_volume_that_does_not_recover_is_the_level_of_the_day(is_recovered: bool, share: float):
    baseline = Baseline(["denied"])
    for minute in range(START, START + MINUTES_PER_DAY + 60):
        baseline._update_volume(minute, 100.0)
    now = START + MINUTES_PER_DAY + 60
    baseline.doubtful = [(minute, 25.0) for minute in range(now, now + 200)]
    baseline.end_doubt(now + 200, is_usual=False, is_recovered=is_recovered)

    assert baseline.expect(now + 200).volume == pytest.approx(100 * share, rel=0.2)
