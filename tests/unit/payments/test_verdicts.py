"""Verdicts on incidents: an expected one is silent each week at its hours, for a while, until the verdict changes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from quintet.cases.kind import Decided
from quintet.domains import open_state_store
from quintet.payments import store as payment_store
from quintet.payments.incidents import RESOLVED, Incident, to_minute
from quintet.payments.silences import is_silenced, silences
from quintet.payments.verdicts import EXPECTED, FALSE, act
from quintet.settings import load_settings
from quintet.state.store import StateStore

STARTED = dt.datetime(2026, 1, 5, 3, 0)
DECIDED = dt.datetime(2026, 1, 20, 9, 0, tzinfo=dt.UTC)
INCIDENT = Incident(
    "denied", RESOLVED, to_minute(STARTED), to_minute(STARTED) + 2, to_minute(STARTED) + 29, 10, "critical", 30.0,
    10.0, 90, 5, "", "", to_minute(STARTED) + 30,
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    with closing(open_state_store(tmp_path)) as store:
        with store.write() as connection:
            payment_store.save_incident(
                connection, INCIDENT.incident_id, payment_store.LIVE, list(INCIDENT), STARTED.replace(tzinfo=dt.UTC)
            )
        yield store


def give(store: StateStore, verdict: str, incident_id: str = INCIDENT.incident_id) -> None:
    given = Decided("c", 2, incident_id, None, 1.0, verdict, None, "night batch", "Ana", DECIDED, load_settings({}))
    with store.write() as connection:
        act(connection, given)


@pytest.mark.parametrize(
    ("at", "is_silent"),
    [
        ("2026-01-26T02:00", True),  # the next Monday, an hour before
        ("2026-01-26T04:29", True),
        ("2026-01-26T04:30", False),
        ("2026-01-26T01:59", False),
        ("2026-01-27T03:00", False),  # a Tuesday
        ("2026-04-20T03:00", True),  # 13 weeks later
        ("2026-04-27T03:00", False),
    ],
)
def test_an_expected_incident_is_silent_at_its_hours_of_the_week(store: StateStore, at: str, is_silent: bool) -> None:
    give(store, EXPECTED)
    moment = dt.datetime.fromisoformat(at).replace(tzinfo=dt.UTC)
    assert is_silenced(INCIDENT, silences(store, moment), moment) == is_silent
    assert not is_silenced(INCIDENT._replace(series="error"), silences(store, moment), moment)


def test_another_verdict_ends_the_silence(store: StateStore) -> None:
    give(store, EXPECTED)
    assert len(silences(store, DECIDED)) == 1
    give(store, FALSE)
    assert silences(store, DECIDED) == []


def test_a_verdict_on_an_incident_that_is_stored_no_more_is_recorded_without_its_times(store: StateStore) -> None:
    give(store, EXPECTED, "000000000000")
    rows = store.read().execute("select incident_id, series, detected_at from payment_verdicts").fetchall()
    assert [tuple(row) for row in rows] == [("000000000000", None, None)]
    assert silences(store, DECIDED) == []
