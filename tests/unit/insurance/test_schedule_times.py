"""When scheduled reports are due: days, weeks, months of any length, and changes of clocks."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.insurance.schedule_times import Timing, UnusableScheduleError


def _at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("timing", "after", "due"),
    [
        (Timing("day", 1, "07:30", "UTC"), "2026-01-01T07:29", "2026-01-01T07:30"),
        (Timing("day", 1, "07:30", "UTC"), "2026-01-01T07:30", "2026-01-02T07:30"),
        (Timing("day", 1, "00:15", "Pacific/Auckland"), "2026-01-01T11:00", "2026-01-01T11:15"),
        (Timing("week", 1, "08:00", "Europe/Berlin"), "2026-01-01T00:00", "2026-01-05T07:00"),
        (Timing("week", 7, "08:00", "UTC"), "2026-01-04T08:00", "2026-01-11T08:00"),
        # the 31st is the last day of a shorter month
        (Timing("month", 31, "12:00", "UTC"), "2026-01-31T12:00", "2026-02-28T12:00"),
        (Timing("month", 31, "12:00", "UTC"), "2028-02-01T12:00", "2028-02-29T12:00"),
        (Timing("month", 31, "12:00", "UTC"), "2026-04-01T12:00", "2026-04-30T12:00"),
        (Timing("month", 1, "12:00", "UTC"), "2026-12-02T12:00", "2027-01-01T12:00"),
        # 02:30 does not exist on 29 March, and exists twice on 25 October
        (Timing("day", 1, "02:30", "Europe/Berlin"), "2026-03-28T12:00", "2026-03-29T01:30"),
        (Timing("day", 1, "02:30", "Europe/Berlin"), "2026-03-29T01:30", "2026-03-30T00:30"),
        (Timing("day", 1, "02:30", "Europe/Berlin"), "2026-10-24T12:00", "2026-10-25T00:30"),
        (Timing("day", 1, "02:30", "Europe/Berlin"), "2026-10-25T00:30", "2026-10-26T01:30"),
    ],
)
def test_the_next_time_is_the_first_one_after_a_moment(timing: Timing, after: str, due: str) -> None:
    assert timing.next_after(_at(after)) == _at(due)


@given(
    every=st.sampled_from(["day", "week", "month"]),
    day=st.integers(1, 31),
    minute=st.integers(0, 1439),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]),
    moment=st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2040, 1, 1), timezones=st.just(dt.UTC)),
)
def test_times_only_move_forward_and_none_is_far(
    every: str, day: int, minute: int, zone: str, moment: dt.datetime
) -> None:
    most = {"day": 1, "week": 7, "month": 31}[every]
    timing = Timing(every, min(day, most), f"{minute // 60:02}:{minute % 60:02}", zone)  # type: ignore[arg-type]
    due = timing.next_after(moment)
    assert moment < due <= moment + dt.timedelta(days=most + 2)
    assert timing.next_after(due) > due


@pytest.mark.parametrize(
    ("values", "field"),
    [
        (("year", 1, "07:30", "UTC"), "every"),
        (("day", 2, "07:30", "UTC"), "day"),
        (("week", 8, "07:30", "UTC"), "day"),
        (("month", 32, "07:30", "UTC"), "day"),
        (("month", 0, "07:30", "UTC"), "day"),
        (("day", 1, "24:00", "UTC"), "at"),
        (("day", 1, "7:30", "UTC"), "at"),
        (("day", 1, "07:30\n", "UTC"), "at"),
        (("day", 1, "07:30", "Mars/Olympus"), "zone"),
        (("day", 1, "07:30", "../etc/passwd"), "zone"),
        (("day", 1, "07:30", "Europe"), "zone"),
        (("day", 1, "07:30", ""), "zone"),
    ],
)
def test_what_is_no_time_is_refused_by_its_field(values: tuple[str, int, str, str], field: str) -> None:
    with pytest.raises(UnusableScheduleError, match=f"^{field}: "):
        Timing(*values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("timing", "words"),
    [
        (Timing("day", 1, "07:30", "UTC"), "each day at 07:30 UTC"),
        (Timing("week", 7, "07:30", "UTC"), "each week on Sunday at 07:30 UTC"),
        (Timing("month", 31, "07:30", "Europe/Berlin"), "each month on day 31 at 07:30 Europe/Berlin"),
    ],
)
def test_a_time_is_said_in_words(timing: Timing, words: str) -> None:
    assert str(timing) == words
