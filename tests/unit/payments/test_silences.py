"""Silences: what they match, windows of the week in a time zone, future ones, and those of a former version."""

from __future__ import annotations

import datetime as dt

import pytest

from quintet.payments.explanation_values import Explained
from quintet.payments.incidents import FIRING, Incident, to_minute
from quintet.payments.silences import (
    Silence,
    add_silence,
    end_silence,
    end_silences_of,
    is_silenced,
    silences,
    weekly_window,
)
from quintet.state.store import StateStore

NOON = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)  # a Wednesday
HOUR = dt.timedelta(hours=1)
YEAR = dt.timedelta(days=365)
INCIDENT = Incident("denied", FIRING, to_minute(NOON), to_minute(NOON), to_minute(NOON), 0, "warning", 9, 10, 60, 5, "")


def explained(*values: tuple[str, str, float]) -> list[Explained]:
    return [Explained(dimension, value, 50, 5.0, share, 1e-6) for dimension, value, share in values]


@pytest.mark.parametrize(
    ("given", "is_match"),
    [
        ({}, True),
        ({"series": "denied"}, True),
        ({"series": "failed"}, False),
        ({"severity": "warning"}, True),
        ({"severity": "critical"}, False),
    ],
)
def test_a_silence_matches_series_and_severity(given: dict[str, str], is_match: bool) -> None:
    silence = Silence(**{"series": None, "starts_at": NOON, "expires_at": NOON + HOUR, **given})

    assert is_silenced(INCIDENT, [silence], NOON) is is_match
    assert not is_silenced(INCIDENT, [silence], NOON + HOUR)
    assert not is_silenced(INCIDENT, [silence], NOON - HOUR)


@pytest.mark.parametrize(
    ("found", "is_match"),
    [
        ([("merchant", "acme", 0.9)], True),
        ([("merchant", "acme", 0.5), ("merchant", "bolt", 0.4)], True),
        ([("merchant", "acme", 0.5), ("merchant", "corner", 0.4)], False),  # another cause
        ([("merchant", "acme", 0.6), ("issuer", "one", 0.4)], False),
        ([("merchant", "acme", 0.3)], False),  # most of it has no name
        ([("issuer", "acme", 0.9)], False),
        ([], False),
    ],
)
def test_a_silence_of_values_covers_incidents_that_these_values_explain(
    found: list[tuple[str, str, float]], is_match: bool
) -> None:
    silence = Silence(None, NOON, NOON + HOUR, values={"merchant": ("acme", "bolt")})

    assert silence.matches(INCIDENT, explained(*found)) is is_match


@pytest.mark.parametrize(
    ("at", "is_active"),
    [
        ("2026-03-06T23:00:00+01:00", True),  # a Friday in winter
        ("2026-03-07T01:59:00+01:00", True),  # over midnight, into Saturday
        ("2026-03-07T02:00:00+01:00", False),
        ("2026-03-06T21:59:00+01:00", False),
        ("2026-03-07T23:00:00+01:00", False),  # a Saturday
        ("2026-07-03T22:30:00+02:00", True),  # in summer, at the same hour of the clock
        ("2026-07-03T21:30:00+02:00", False),
    ],
)
def test_a_window_of_the_week_follows_the_clocks_of_its_zone(at: str, is_active: bool) -> None:
    silence = Silence(None, NOON, NOON + YEAR, weekly="mon-fri 22:00-02:00", time_zone="Europe/Berlin")

    assert silence.is_active(dt.datetime.fromisoformat(at)) is is_active


def test_the_hour_that_clocks_repeat_is_silent_twice_and_the_one_they_skip_never() -> None:
    silence = Silence(None, NOON, NOON + YEAR, weekly="sun 02:00-03:00", time_zone="Europe/Berlin")
    spring = dt.datetime(2026, 3, 29, tzinfo=dt.UTC)
    autumn = dt.datetime(2026, 10, 25, tzinfo=dt.UTC)
    minutes = [dt.timedelta(minutes=minute) for minute in range(6 * 60)]

    assert sum(silence.is_active(spring + minute) for minute in minutes) == 0
    assert sum(silence.is_active(autumn + minute) for minute in minutes) == 120
    assert sum(silence.is_active(autumn + dt.timedelta(days=7) + minute) for minute in minutes) == 60


@pytest.mark.parametrize(
    ("start", "minutes", "zone", "window"),
    [
        ("2026-01-05T02:00", 150, "UTC", "mon 02:00-04:30"),
        ("2026-01-05T02:00", 150, "America/New_York", "sun 21:00-23:30"),
        ("2026-01-04T23:30", 90, "UTC", "sun 23:30-01:00"),
        ("2026-01-04T10:00", 1_440, "UTC", "sun 10:00-10:00"),
    ],
)
def test_a_time_is_a_window_of_the_week_on_the_clocks_of_its_zone(
    start: str, minutes: int, zone: str, window: str
) -> None:
    begin = dt.datetime.fromisoformat(start).replace(tzinfo=dt.UTC)
    made = weekly_window(begin, minutes, zone)
    silence = Silence(None, begin, begin + YEAR, weekly=made, time_zone=zone)
    last = begin + dt.timedelta(minutes=minutes - 1)

    assert made == window
    assert silence.is_active(begin)
    assert silence.is_active(last)
    assert silence.is_active(last + dt.timedelta(minutes=1)) is False


def test_a_silence_is_stored_as_it_is_and_ended_once(store: StateStore) -> None:
    given = Silence(
        "denied", NOON + HOUR, NOON + YEAR, "Ana", "known", "warning", {"merchant": ("acme",)}, "sat 01:00-02:00",
        "Europe/Berlin",
    )  # fmt: skip
    with store.write() as connection:
        made = add_silence(connection, given)

    assert silences(store, NOON) == [made]
    assert made.silence_id
    assert end_silence(store, made.silence_id, NOON)
    assert not end_silence(store, made.silence_id, NOON)
    assert silences(store, NOON) == []


def test_the_silences_of_an_incident_end_together(store: StateStore) -> None:
    with store.write() as connection:
        add_silence(connection, Silence(None, NOON, NOON + YEAR), "a")
        add_silence(connection, Silence("failed", NOON, NOON + YEAR), "b")
        end_silences_of(connection, "a", NOON + HOUR)

    assert [one.series for one in silences(store, NOON + HOUR)] == ["failed"]


def test_a_weekly_silence_of_a_former_version_recurs_as_before(store: StateStore) -> None:
    with store.write() as connection:
        connection.execute(
            "insert into payment_silences (series, starts_at, expires_at, created_by, comment, window_minutes) "
            "values ('denied', '2026-03-04T22:00:00.000000+00:00', '2026-06-01T00:00:00.000000+00:00', 'Ana', '', 150)"
        )
    (silence,) = silences(store, NOON)

    assert (silence.weekly, silence.time_zone) == ("wed 22:00-00:30", "UTC")
    assert silence.is_active(NOON + dt.timedelta(days=7, hours=12))
    assert not silence.is_active(NOON + dt.timedelta(days=7))
