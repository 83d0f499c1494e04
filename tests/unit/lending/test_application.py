"""An application: its identity, when it is too old, and LSNs."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from quintet.lending.application import (
    Application,
    lsn_of,
    why_day_not_begun,
    why_not_covered,
    why_untimely,
)

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
GIVEN = Application(1, 7, 500.0, 30, dt.date(2026, 11, 21), NOW, 100)


def test_time_and_place_in_the_log_do_not_change_the_identity() -> None:
    again = replace(GIVEN, submitted_at=NOW + dt.timedelta(hours=1), commit_lsn=None)
    assert (again.identity, again.decision_id) == (GIVEN.identity, GIVEN.decision_id)


@pytest.mark.parametrize(
    "other", [{"client_id": 8}, {"amount": 500.01}, {"duration_days": 31}, {"applied_on": dt.date(2026, 11, 20)}]
)
def test_what_is_applied_for_changes_the_identity(other: dict) -> None:
    assert replace(GIVEN, **other).identity != GIVEN.identity


@pytest.mark.parametrize(
    ("hours", "said"), [(0, None), (23.9, None), (24.1, "1.0 days ago"), (-0.05, None), (-0.1, "in the future")]
)
def test_a_day_old_is_too_late_and_minutes_ahead_too_early(hours: float, said: str | None) -> None:
    found = why_untimely(GIVEN, NOW + dt.timedelta(hours=hours))
    assert found is None if said is None else said in str(found)


def test_an_lsn_is_parsed_as_postgresql_writes_it() -> None:
    assert lsn_of("16/B374D848") == 0x16B374D848
    assert lsn_of("0/64") == 100


@pytest.mark.parametrize("text", ["", "16", "16/", "x/1", "16/B374D8481", "0/1\n"])
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no LSN of PostgreSQL"):
        lsn_of(text)


@pytest.mark.parametrize("day", [dt.date(2023, 11, 21), dt.date(2026, 11, 21), dt.date(2026, 11, 22)])
def test_a_day_up_to_one_ahead_has_begun_somewhere(day: dt.date) -> None:
    assert why_day_not_begun(replace(GIVEN, applied_on=day), NOW) is None


@pytest.mark.parametrize("day", [dt.date(2026, 11, 23), dt.date(9999, 12, 31)])
def test_a_later_day_has_not(day: dt.date) -> None:
    said = why_day_not_begun(replace(GIVEN, applied_on=day), NOW)
    assert said is not None
    assert said.startswith(f"applied_on {day} is in the future: the clock of this service is at 2026-11-21 12:00 UTC")


def test_a_day_before_the_history_is_not_covered() -> None:
    first = dt.date(2026, 11, 1)
    assert why_not_covered(first, first) is None
    said = why_not_covered(first - dt.timedelta(days=1), first)
    assert said is not None
    assert "2026-10-31 is before 2026-11-01" in said


def test_a_history_of_unknown_beginning_covers_no_day() -> None:
    assert "not known" in str(why_not_covered(dt.date(2026, 11, 30), None))
