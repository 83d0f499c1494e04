"""The life of an incident, and when notifications are due."""

from datetime import datetime, timedelta

import pytest

from quintet.payments import rules
from quintet.payments.incidents import (
    CRITICAL,
    FEED,
    FIRING,
    PENDING,
    RESOLVED,
    VOLUME,
    WARNING,
    WITHDRAWN,
    Incident,
    Notification,
    Point,
    advance,
    is_due,
    to_minute,
)

NOON = datetime(2024, 3, 4, 12)
MINUTE = to_minute(NOON)


def point(series: str = "failed", number: int = 0, **values) -> Point:
    """Return a quiet point, changed by `values`."""
    usual = Point(series, MINUTE + number, 0.0, 10.0, 10, 5, 2, 0.0, 8.0, 1_000, started_minute=MINUTE + number)
    return usual._replace(**values)


def bad(series: str = "failed", number: int = 0, **values) -> Point:
    """Return a point that may fire."""
    defaults = {"score": 9.0, "rule": rules.RATE_TAIL, "is_anomalous": True, "is_sustained": True, "is_elevated": True}
    return point(series, number, **{**defaults, "is_bad": True, "started_minute": MINUTE, **values})


def followed(*minutes: list[Point]) -> list[list[Incident]]:
    opened: dict[str, Incident] = {}
    said = []
    for points in minutes:
        opened, changed = advance(opened, points, is_observed=True)
        said.append(changed)
    return said


def test_an_alert_that_is_not_sustained_is_pending_and_dropped_when_it_passes():
    opened, changed = advance({}, [bad(is_sustained=False)], is_observed=True)
    assert (opened["failed"].state, changed) == (PENDING, [])

    assert advance(opened, [point(number=1)], is_observed=True) == ({}, [])


def test_a_sustained_alert_fires_with_the_start_of_its_pending():
    _, said = followed([bad(is_sustained=False)], [bad(number=1, started_minute=MINUTE + 1)])

    assert (said[0].state, said[0].started_at, said[0].detected_at) == (FIRING, NOON, NOON + timedelta(minutes=1))


def test_nine_quiet_minutes_do_not_resolve_and_the_tenth_does():
    said = followed([bad()], *[[point(number=number)] for number in range(1, 11)])

    assert said[9][0].state == FIRING
    assert (said[10][0].state, said[10][0].ended_at) == (RESOLVED, NOON + timedelta(minutes=1))


def test_an_elevated_minute_restarts_the_quiet_time():
    quiet = [[point(number=number)] for number in range(1, 10)]
    said = followed([bad()], *quiet, [point(number=10, is_elevated=True)], *[[point(number=11)]] * 9)

    assert said[-1][0].state == FIRING


def test_the_worst_point_is_kept():
    said = followed([bad(score=9)], [bad(number=1, score=30, observed=500)], [bad(number=2, score=12)])

    assert (said[-1][0].peak_score, said[-1][0].observed) == (30, 500)


@pytest.mark.parametrize(
    ("one", "severity"),
    [
        (bad(VOLUME), CRITICAL),
        (bad(FEED), CRITICAL),
        (bad(score=9, observed=400), WARNING),
        (bad(score=40, observed=59), WARNING),
        (bad(score=40, observed=60), CRITICAL),
        (bad("denied", rule=rules.DENIED_QUARTER), CRITICAL),
    ],
)
def test_severity_is_critical_where_money_stops_or_many_are_affected(one: Point, severity: str):
    assert followed([one])[0][0].severity == severity


def test_incidents_that_are_open_together_are_one_group_and_later_ones_another():
    said = followed(
        [bad("failed")],
        [point("failed", 1), bad("reversed", 1)],
        *[[point("failed", number), point("reversed", number)] for number in range(2, 13)],
        [bad("denied", 13)],
    )
    failed, reversed_, denied = said[0][0], said[1][-1], said[-1][0]

    assert failed.group_id == reversed_.group_id == failed.incident_id
    assert denied.group_id == denied.incident_id != failed.group_id


@pytest.mark.parametrize("zero", [[point(VOLUME, rule=rules.ZERO_APPROVED)], []])
def test_statuses_wait_while_the_volume_is_zero_or_there_are_no_rows(zero: list[Point]):
    opened, changed = advance({}, [bad(), *zero], is_observed=bool(zero))

    assert (opened["failed"].state, changed) == (PENDING, [])


def test_the_identity_is_of_the_series_and_the_start_and_the_fingerprint_of_the_series():
    one, other = followed([bad()])[0][0], followed([bad(started_minute=MINUTE - 60)])[0][0]

    assert one.incident_id == followed([bad(score=50)])[0][0].incident_id
    assert one.incident_id != other.incident_id
    assert one.fingerprint == other.fingerprint


def firing() -> Incident:
    return followed([bad()])[0][0]


def test_the_team_is_notified_once_and_again_after_four_hours():
    assert is_due(firing(), None, NOON)
    sent = Notification(NOON, FIRING)
    assert not is_due(firing(), sent, NOON + timedelta(hours=3, minutes=59))
    assert is_due(firing(), sent, NOON + timedelta(hours=4))


def test_an_acknowledged_incident_is_not_repeated_but_its_end_is_reported():
    sent = Notification(NOON, FIRING, acknowledged_at=NOON)
    much_later = NOON + timedelta(hours=9)

    assert not is_due(firing(), sent, much_later)
    assert is_due(firing()._replace(state=RESOLVED), sent, much_later)
    assert is_due(firing()._replace(state=WITHDRAWN), sent, much_later)


def test_the_end_of_an_unreported_incident_is_not_reported():
    assert not is_due(firing()._replace(state=RESOLVED), None, NOON)


def test_the_end_is_reported_once():
    assert not is_due(firing()._replace(state=RESOLVED), Notification(NOON, RESOLVED), NOON + timedelta(hours=9))


def test_a_pending_incident_is_never_reported():
    assert not is_due(firing()._replace(state=PENDING), None, NOON)


def test_nothing_is_reported_while_it_is_silent():
    assert not is_due(firing(), None, NOON, is_silent=True)
    assert not is_due(firing()._replace(state=RESOLVED), Notification(NOON, FIRING), NOON, is_silent=True)
