"""The detector on minutes in any order."""

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quintet.payments import rules
from quintet.payments.detector import LATENESS_MINUTES, MOST_STATUSES, OTHER_STATUSES, Detector, Step, TooLateError
from quintet.payments.incidents import FEED, FIRING, RESOLVED, VOLUME, WITHDRAWN, Incident, Point

START = datetime(2024, 3, 4, 9)
USUAL = {"approved": 300, "denied": 32, "reversed": 2}


def at(number: int) -> datetime:
    return START + timedelta(minutes=number)


def usual(number: int) -> dict[str, int]:
    """Return random counts, equal in each call."""
    rng = np.random.default_rng(number)
    return {status: int(rng.poisson(mean)) for status, mean in USUAL.items()}


def led(minutes: int = 180) -> Detector:
    """Return a new detector that has seen this many usual minutes."""
    return deepcopy(_led(minutes))


@cache
def _led(minutes: int) -> Detector:
    detector = Detector()
    for number in range(minutes):
        detector.observe(at(number), usual(number))
    return detector


class Outcome:
    """The state of a consumer that applies every step."""

    def __init__(self) -> None:
        self.points: dict[tuple[str, int], Point] = {}
        self.incidents: dict[str, Incident] = {}

    def take(self, step: Step) -> None:
        self.points |= {(point.series, point.minute): point for point in step.points}
        for incident in step.incidents:
            if incident.state == WITHDRAWN:
                self.incidents.pop(incident.incident_id, None)
            else:
                self.incidents[incident.incident_id] = incident


def observed(detector: Detector, minutes: dict[int, dict[str, int]]) -> Outcome:
    outcome = Outcome()
    for number, counts in minutes.items():
        outcome.take(detector.observe(at(number), counts))
    return outcome


def incidents_of(changes: dict[int, dict[str, int]], until: int = 240) -> dict[str, Incident]:
    """Return by series the incidents of three usual hours and a fourth with `changes` added by minute and status."""
    detector = led()
    counts = {number: usual(number) for number in range(180, until)}
    for number, added in changes.items():
        for status, count in added.items():
            counts[number][status] = counts[number].get(status, 0) + count
    return {incident.series: incident for incident in observed(detector, counts).incidents.values()}


def test_usual_minutes_raise_no_incident():
    assert incidents_of({}) == {}


@pytest.mark.parametrize(("status", "added"), [("denied", 60), ("failed", 5), ("reversed", 20), ("chargeback", 6)])
def test_a_surge_fires_in_its_third_minute(status: str, added: int):
    found = incidents_of({number: {status: added} for number in range(200, 225)})

    assert list(found) == [status]
    assert found[status].started_at == at(200)
    assert found[status].detected_at <= at(202)
    assert at(224) <= found[status].ended_at <= at(226)


def test_a_burst_of_two_minutes_recommends_an_alert_but_is_no_incident():
    detector = led()
    steps = [
        detector.observe(at(number), {**usual(number), "reversed": 60 if number < 182 else 2})
        for number in range(180, 200)
    ]
    alerts = [point for point in steps[1].points if point.is_anomalous]

    assert [point.series for point in alerts] == ["reversed"]
    assert "reversed" in alerts[0].reason
    assert not any(step.incidents for step in steps)


def test_a_rate_that_steps_every_day_at_the_same_time_is_no_incident():
    """The evening's rate is usual: after the step it must not be judged by the rate of after."""
    rng = np.random.default_rng(5)
    detector = Detector()
    incidents: dict[str, Incident] = {}
    for number in range(4 * 1_440):
        share = 0.15 - 0.06 * min(max((number % 1_440 - 120) / 40, 0), 1)
        counts = {"approved": int(rng.poisson(6_000)), "denied": int(rng.poisson(6_000 * share))}
        step = detector.observe(at(number), counts)
        incidents |= {one.incident_id: one for one in step.incidents if number >= 1_440}

    assert incidents == {}


def test_a_slow_ramp_is_found_although_training_continues():
    found = incidents_of({number: {"reversed": (number - 180) // 3} for number in range(180, 240)})

    assert found["reversed"].state == FIRING


def test_approvals_that_stop_are_critical_at_once():
    detector = led()
    step = detector.observe(at(180), {"approved": 0, "denied": 30})
    volume = next(incident for incident in step.incidents if incident.series == VOLUME)

    assert (volume.rule, volume.severity, volume.detected_at) == (rules.ZERO_APPROVED, "critical", at(180))


def test_no_status_fires_while_nothing_is_approved():
    detector = led()
    fired = [
        {one.series for one in detector.observe(at(number), {"denied": 200}).incidents} for number in range(180, 186)
    ]

    assert set().union(*fired) == {VOLUME}
    after = [detector.observe(at(number), {"approved": 300, "denied": 200}) for number in range(186, 190)]
    assert "denied" in {one.series for step in after for one in step.incidents}


def test_a_campaign_in_the_usual_proportions_is_no_incident():
    detector = led()
    counts = {number: {status: 2 * count for status, count in usual(number).items()} for number in range(180, 240)}

    assert observed(detector, counts).incidents == {}


def test_minutes_without_rows_are_a_stale_feed_and_not_zeros():
    detector = led()
    steps = [detector.observe(at(number), {}, is_observed=False) for number in range(180, 184)]

    assert [len(step.incidents) for step in steps] == [0, 0, 1, 1]
    assert steps[2].incidents[0].series == FEED
    assert {point.series for step in steps for point in step.points} == {FEED}


def test_skipped_minutes_are_scored_as_without_rows():
    detector = led()
    step = detector.observe(at(190), usual(190))
    feed = next(incident for incident in step.incidents if incident.series == FEED)

    assert feed.started_at == at(180)
    assert feed.detected_at == at(182)


def test_a_day_without_data_is_no_stale_feed():
    detector = led()
    step = detector.observe(at(180 + 3 * 1_440), usual(0))

    assert not step.incidents
    assert {point.minute_at for point in step.points} == {at(180 + 3 * 1_440)}


def test_an_incident_ends_with_the_data():
    detector = led()
    for number in range(180, 190):
        detector.observe(at(number), {**usual(number), "failed": 9})
    step = detector.observe(at(180 + 3 * 1_440), usual(0))

    assert [(one.series, one.state, one.ended_at) for one in step.incidents] == [("failed", RESOLVED, at(190))]


def test_a_minute_is_scored_only_when_it_is_complete():
    detector = led()

    assert detector.record(at(180), {"approved": 3}) == Step([], [])
    assert detector.record(at(180), {"approved": 300, "denied": 30}) == Step([], [])
    assert {point.minute_at for point in detector.complete(at(180)).points} == {at(180)}
    assert detector.complete(at(180)) == Step([], [])


def test_the_same_count_again_changes_nothing():
    detector = led()

    assert detector.record(at(179), usual(179)) == Step([], [])
    assert detector.record(at(179), {"denied": 31 + usual(179)["denied"]}).points


def test_a_late_minute_withdraws_what_it_disproves():
    detector = led()
    counts = {number: usual(number) for number in range(180, 184)}
    for number in (180, 181, 182):
        detector.observe(at(number), {}, is_observed=False)
    assert [one.series for one in detector.open_incidents] == [FEED]

    said = [one for number in (181, 180, 182) for one in detector.record(at(number), counts[number]).incidents]

    assert (said[0].series, said[0].state) == (FEED, WITHDRAWN)
    assert detector.open_incidents == ()


def test_a_settled_minute_is_refused():
    detector = led()

    detector.record(at(180 - LATENESS_MINUTES), {"denied": 1})
    with pytest.raises(TooLateError, match="settled"):
        detector.record(at(179 - LATENESS_MINUTES), {"denied": 1})


DELAYS = st.lists(st.integers(0, LATENESS_MINUTES - 1), min_size=60, max_size=60)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(delays=DELAYS, repeats=st.sets(st.integers(0, 59)), surge=st.integers(5, 40), is_split=st.booleans())
def test_late_repeated_and_split_minutes_end_as_if_in_order(
    delays: list[int], repeats: set[int], surge: int, is_split: bool
):
    minutes = {number: usual(number) for number in range(180, 240)}
    for number in range(180 + surge, 240):
        minutes[number] |= {"reversed": 25, "novel": 4}
    in_order = observed(led(), minutes)

    detector, outcome = led(), Outcome()
    for now in range(180, 240 + LATENESS_MINUTES):
        for number, counts in minutes.items():
            if number + delays[number - 180] != now:
                continue
            parts = [{status: count} for status, count in counts.items()] if is_split else [counts]
            for part in parts * (2 if number - 180 in repeats else 1):
                outcome.take(detector.record(at(number), part))
        if now < 240:
            outcome.take(detector.complete(at(now)))

    assert outcome.points == in_order.points
    assert outcome.incidents == in_order.incidents


def test_a_restart_changes_nothing():
    minutes = {
        number: usual(number) | ({"reversed": 30, "novel": 3} if number > 200 else {}) for number in range(180, 260)
    }
    unbroken = observed(led(), minutes)

    detector, restarted = led(), Outcome()
    for number, counts in minutes.items():
        detector = Detector.from_json(json.loads(json.dumps(detector.to_json(), allow_nan=False)))
        restarted.take(detector.observe(at(number), counts))

    assert restarted.points == unbroken.points
    assert restarted.incidents == unbroken.incidents


def test_counts_of_an_incomplete_minute_survive_a_restart():
    detector = led()
    detector.record(at(180), {"approved": 0, "denied": 30})
    again = Detector.from_json(json.loads(json.dumps(detector.to_json())))

    assert again.complete(at(180)) == detector.complete(at(180))


@pytest.mark.parametrize("count", [-1, 10**12, 1.5, "7", True, None])
def test_an_invalid_count_is_refused_and_changes_nothing(count: object):
    detector = led()
    before = detector.to_json()

    with pytest.raises(ValueError, match="a count is a whole number"):
        detector.observe(at(180), {"approved": 300, "denied": count})  # type: ignore[dict-item]
    assert detector.to_json() == before


def test_the_largest_count_is_scored():
    step = led().observe(at(180), {"approved": 10**9, "denied": 10**9})

    assert step.points
    assert all(np.isfinite(point.score) for point in step.points)


def test_an_unknown_status_is_a_series_of_its_own():
    detector = led()
    step = detector.observe(at(180), {**usual(180), " Chargeback ": 3})

    assert detector.statuses[-1] == "chargeback"
    assert next(point for point in step.points if point.series == "chargeback").observed == 3


def test_a_flood_of_unknown_statuses_is_counted_together():
    detector = led()
    detector.observe(at(180), {f"status {number}": 1 for number in range(1_000)})

    assert len(detector.statuses) == MOST_STATUSES + 1
    point = next(one for one in detector.observe(at(181), {}).points if one.series == OTHER_STATUSES)
    assert point.observed == 1_000 - (MOST_STATUSES - 6)


def test_a_clock_of_another_zone_is_brought_to_utc():
    here, there = led(), led()

    assert here.observe(at(180).replace(tzinfo=UTC), usual(180)) == there.observe(
        (at(180) + timedelta(hours=-3)).replace(tzinfo=timezone(timedelta(hours=-3))), usual(180)
    )


def test_the_band_holds_usual_counts():
    detector = led()
    points = [point for number in range(180, 300) for point in detector.observe(at(number), usual(number)).points]
    inside = [
        point.lower <= point.minute_count <= point.upper for point in points if point.series in ("denied", VOLUME)
    ]

    assert np.mean(inside) > 0.98
