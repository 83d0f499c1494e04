"""Opening hours as text, and the minutes in which they are open."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.payments.opening_hours import opening_hours, parse_holidays, parse_weekly_hours, time_zone

EPOCH = datetime(1970, 1, 1)


def is_open(weekly: str, at: str, holidays: str = "") -> bool | None:
    local = int((datetime.fromisoformat(at) - EPOCH).total_seconds() // 60)
    return opening_hours("UTC", weekly, holidays).is_open(local)


@pytest.mark.parametrize(
    ("at", "answer"),
    [
        ("2024-03-04T08:00", True),
        ("2024-03-04T07:59", False),
        ("2024-03-04T22:00", False),
        ("2024-03-08T23:59", True),
        ("2024-03-09T01:59", True),  # Friday's hours last until two
        ("2024-03-09T02:00", False),
        ("2024-03-09T13:00", False),
        ("2024-03-09T15:00", True),
        ("2024-03-10T12:00", False),
    ],
)
def test_hours_by_weekday_with_breaks_and_over_midnight(at: str, answer: bool):
    assert is_open("mon-thu 08:00-22:00; fri 18:00-02:00; sat 09:00-12:30, 14:00-18:00", at) is answer


def test_a_holiday_is_closed_and_the_night_before_it_lasts_to_its_end():
    weekly = "mon-sun 18:00-02:00"

    assert is_open(weekly, "2024-12-24T20:00", "12-25") is True
    assert is_open(weekly, "2024-12-25T01:00", "12-25") is True
    assert is_open(weekly, "2024-12-25T20:00", "12-25") is False
    assert is_open(weekly, "2025-12-25T20:00", "2024-12-25") is True


def test_without_hours_only_holidays_are_known():
    assert is_open("", "2024-03-04T12:00", "2024-03-05") is None
    assert is_open("", "2024-03-05T12:00", "2024-03-05") is False


def test_a_span_of_days_may_cross_the_weekend():
    assert [bool(day) for day in parse_weekly_hours("sat-mon 00:00-24:00")] == [True, *[False] * 4, True, True]


@pytest.mark.parametrize(
    "text",
    [
        *("", "mon", "montag 08:00-22:00", "mon 8-22", "mon 08:00-25:00", "mon 08:60-22:00", "mon 24:00-08:00"),
        *("mon 08:00-22:00; mon 09:00-10:00", "mon-fri 08:00-22:00; wed closed", "mon 08:00-22:00;"),
    ],
)
def test_other_texts_are_refused(text: str):
    with pytest.raises(ValueError, match=r"is no|named twice"):
        parse_weekly_hours(text)


@pytest.mark.parametrize("text", ["2024-02-30", "13-01", "christmas", "2024"])
def test_what_is_no_date_is_no_holiday(text: str):
    with pytest.raises(ValueError):  # noqa: PT011  # the message is Python's
        parse_holidays(text)


@pytest.mark.parametrize("name", ["Mars/Base", "", "../etc", "Europe"])
def test_what_is_no_zone_is_refused(name: str):
    with pytest.raises(ValueError, match="no time zone"):
        time_zone(name)


def test_clocks_of_a_zone_are_ahead_of_utc_by_more_in_summer():
    hours = opening_hours("Europe/Berlin", "", "")
    winter, summer = (int((datetime(2024, month, 1) - EPOCH).total_seconds() // 60) for month in (1, 7))

    assert (hours.to_local(winter) - winter, hours.to_local(summer) - summer) == (60, 120)


@given(st.integers(0, 1_439), st.integers(1, 1_440), st.integers(0, 10_079))
def test_a_span_is_open_from_its_start_to_its_end(start: int, end: int, at: int):
    text = f"mon-sun {start // 60:02d}:{start % 60:02d}-{end // 60:02d}:{end % 60:02d}"
    minute = at % 1_440
    expected = start <= minute < end if start < end else minute >= start or minute < end

    assert opening_hours("UTC", text, "").is_open(at + 20_000 * 1_440) is expected
