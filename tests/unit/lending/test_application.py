"""An application: its identity, when it is too old, and LSNs."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from quintet.lending.application import Application, lsn_of, why_untimely

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
