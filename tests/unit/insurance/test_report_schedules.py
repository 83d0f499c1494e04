"""Scheduled reports in the state store: recorded, due once, ended."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from quintet.erasure.state import erase_from_state
from quintet.erasure.warehouse import Person
from quintet.insurance.domain import INSURANCE
from quintet.insurance.report_schedules import (
    CHANNEL,
    MOST_OF_A_KEY,
    add_schedule,
    end_schedule,
    enqueue_due,
    find_schedule,
    schedules,
)
from quintet.insurance.schedule_times import UnusableScheduleError
from quintet.state.outbox import last_messages
from quintet.state.store import StateStore
from quintet.state_place import StatePlace
from tests.unit.insurance.schedules import wanted

NOW = dt.datetime(2026, 1, 1, 7, tzinfo=dt.UTC)


def test_a_schedule_is_read_back_as_it_was_recorded(store: StateStore) -> None:
    added = add_schedule(store, "0a1b2c3d", "Ana", wanted(), NOW)

    assert schedules(store) == [added]
    assert find_schedule(store, added.schedule_id) == added
    assert (added.request, added.next_at) == (wanted(), NOW + dt.timedelta(minutes=30))
    assert schedules(store, "another key") == []


def test_a_report_is_due_once_however_many_services_look(store: StateStore) -> None:
    add_schedule(store, "0a1b2c3d", "Ana", wanted(), NOW)
    assert enqueue_due(store, NOW) == 0

    due = NOW + dt.timedelta(minutes=30)
    with ThreadPoolExecutor(4) as services:
        counts = list(services.map(lambda _: enqueue_due(store, due), range(8)))

    assert sum(counts) == 1
    assert [message.body for message in last_messages(store, 10)] == [{"schedule_id": 1}]
    assert schedules(store)[0].next_at == due + dt.timedelta(days=1)


def test_what_was_missed_while_no_service_ran_is_sent_once(store: StateStore) -> None:
    add_schedule(store, "0a1b2c3d", "Ana", wanted(), NOW)

    assert enqueue_due(store, NOW + dt.timedelta(days=9)) == 1
    assert enqueue_due(store, NOW + dt.timedelta(days=9)) == 0
    assert len(last_messages(store, 10, channels=[CHANNEL])) == 1


def test_a_kill_before_the_end_of_the_transaction_loses_nothing_and_repeats_nothing(
    store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_schedule(store, "0a1b2c3d", "Ana", wanted(), NOW)
    due = NOW + dt.timedelta(minutes=30)
    with monkeypatch.context() as killed:
        killed.setattr("quintet.insurance.report_schedules.enqueue", _fail)
        with pytest.raises(KeyboardInterrupt):
            enqueue_due(store, due)

    assert last_messages(store, 10) == []
    assert enqueue_due(store, due) == 1


def _fail(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_ended_schedule_is_not_due(store: StateStore) -> None:
    added = add_schedule(store, "0a1b2c3d", "Ana", wanted(), NOW)

    assert end_schedule(store, added.schedule_id, NOW, "ended by Ana")
    assert not end_schedule(store, added.schedule_id, NOW, "again")
    assert enqueue_due(store, NOW + dt.timedelta(days=1)) == 0
    ended = find_schedule(store, added.schedule_id)
    assert ended is not None
    assert ended.ended_because == "ended by Ana"


def test_a_key_has_a_limit(store: StateStore) -> None:
    for _ in range(MOST_OF_A_KEY):
        add_schedule(store, "0a1b2c3d", "Ana", wanted(), NOW)
    with pytest.raises(UnusableScheduleError, match="end one first"):
        add_schedule(store, "0a1b2c3d", "Ana", wanted(), NOW)
    add_schedule(store, "another", "Ben", wanted(), NOW)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"report": "unknown"}, "report"),
        ({"format": "pdf"}, "format"),
        ({"report": "insurance_review"}, "format"),
        ({"report": "insurance_review", "format": "pdf"}, "filters"),
        ({"recipient": "ana@example.org\nBcc: all@example.org"}, "recipient"),
        ({"recipient": "ana@example.org\n"}, "recipient"),
        ({"recipient": "ana@example.org, ben@example.org"}, "recipient"),
        ({"recipient": "Ana <ana@example.org>"}, "recipient"),
        ({"recipient": "ana"}, "recipient"),
        ({"recipient": "@example.org"}, "recipient"),
        ({"recipient": "ana@"}, "recipient"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_its_field(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(UnusableScheduleError, match=f"^{field}: "):
        wanted(**changed)


def test_a_recipient_who_is_forgotten_gets_nothing_and_is_nowhere(store: StateStore, place: StatePlace) -> None:
    add_schedule(store, "0a1b2c3d", "Ana", wanted(), NOW)
    add_schedule(store, "0a1b2c3d", "Ana", wanted(recipient="ben@example.org"), NOW)
    assert INSURANCE.persons is not None
    counts = erase_from_state(place, Person(INSURANCE.persons, "ana@example.org", "x"), NOW)

    assert sum(counts.values()) == 1
    assert [one.request.recipient for one in schedules(store)] == ["ben@example.org"]
