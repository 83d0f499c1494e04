"""The payments page in words: what is said of now and of a day holds in the points and incidents."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pytest

from quintet.payments.incidents import to_minute
from quintet.web.pages.payments_words import SeriesState, key_figures, series_states, summary_of_day, summary_of_now

NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)


def points(minutes: int = 120, behind: int = 1, **counts: int) -> pd.DataFrame:
    last = to_minute(NOW) - behind
    given = {"volume": 10, "denied": 1, "feed": 1} | counts
    rows = [
        {"series": series, "minute": minute, "minute_count": count, "expected": 50.0, "window_minutes": 5}
        for minute in range(last - minutes + 1, last + 1)
        for series, count in given.items()
    ]
    frame = pd.DataFrame(rows)
    return frame.assign(minute_at=pd.to_datetime(frame["minute"] * 60, unit="s"))


def incident(series: str, severity: str = "critical", state: str = "firing") -> dict[str, Any]:
    started = "2026-11-30T11:50:00Z"
    return {
        "series": series,
        "severity": severity,
        "state": state,
        "reason": "Why.",
        "started_at": started,
        "group_id": 1,
        "incident_id": f"id of {series}",
        "acknowledged_by": None,
    }


@pytest.mark.parametrize(
    ("rows", "behind", "said"),
    [
        ([], 1, "All is usual."),
        ([incident("denied")], 1, "Something is wrong now: denied."),
        ([incident("denied", "warning")], 1, "Worth a look: denied."),
        ([incident("denied", state="resolved")], 1, "All is usual."),
        ([], 30, "All was usual at 2026-11-30 11:30 UTC; nothing has arrived since."),
    ],
)
def test_the_summary_is_that_of_the_series(rows: list[dict[str, Any]], behind: int, said: str) -> None:
    given = points(behind=behind)

    assert summary_of_now(series_states(given, rows, (), NOW), given, NOW) == said


def test_without_a_minute_it_says_how_to_send_one() -> None:
    assert "have been sent" in summary_of_now([], points().head(0), NOW)


def test_the_worst_series_comes_first() -> None:
    states = series_states(points(), [incident("denied", "warning")], (), NOW)

    assert [(one.series, one.state) for one in states] == [("denied", "warning"), ("volume", "good"), ("feed", "good")]
    assert states[0] == SeriesState("denied", "denied", "warning", "Why.", "since 11:50 UTC", "id of denied")


def test_an_incident_of_another_day_says_its_day() -> None:
    old = incident("denied") | {"started_at": "2026-11-28T11:50:00Z"}
    (denied,) = [one for one in series_states(points(), [old], (), NOW) if one.series == "denied"]

    assert denied.since == "since 2026-11-28 11:50 UTC"


def test_a_feed_that_ended_years_ago_is_not_counted_in_minutes() -> None:
    (feed,) = [one for one in series_states(points(behind=1_530_260), [], (), NOW) if one.series == "feed"]

    assert feed.words.endswith(", 1,062 days behind the clock")


def test_a_feed_that_is_behind_says_so() -> None:
    (feed,) = [one for one in series_states(points(behind=30), [], (), NOW) if one.series == "feed"]

    assert (feed.state, feed.words) == ("warning", "last minute 2026-11-30 11:30 UTC, 30 minutes behind the clock")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "2026-11-30: no incident."),
        ([incident("denied")], "2026-11-30: 1 incident, 1 of them critical."),
        ([incident("denied"), incident("volume", "warning")], "2026-11-30: 2 incidents, 1 of them critical."),
    ],
)
def test_a_day_is_summed_up(rows: list[dict[str, Any]], said: str) -> None:
    assert summary_of_day("2026-11-30", rows) == said


def test_the_last_hour_is_compared_with_what_is_expected_in_it() -> None:
    _, _, approved, denied = key_figures(points(), [incident("denied")])

    assert (approved.value, approved.change) == (600.0, 0.0)
    assert approved.change_against == "against 600 expected at this time"
    assert (denied.value, denied.change) == (60.0, pytest.approx(-0.9))


def test_without_a_minute_nothing_is_compared() -> None:
    _, _, approved, _ = key_figures(points().head(0), [])

    assert (approved.value, approved.change, approved.change_against) == (None, None, "")
