"""Escalation of notifications: each channel once, in order, until somebody acknowledges; over restarts and services."""

from __future__ import annotations

import datetime as dt
from functools import partial

import pytest

from quintet.payments import store as payment_store
from quintet.payments.escalation import mark_channels, notified_channels
from quintet.payments.escalation_steps import Escalation, parse_escalation
from quintet.payments.incidents import RESOLVED
from quintet.payments.notifications import GROUP_WAIT, notify
from quintet.state.outbox import last_messages
from quintet.state.store import StateStore
from tests.unit.payments.incidents import HOUR, NOW, happen, incident, silence

CHANNELS = ("teams", "email", "apprise")
ORDER = parse_escalation("teams | email after 10 | apprise after 30", CHANNELS)
START = NOW + GROUP_WAIT


def sent(store: StateStore, minute: float, escalation: Escalation = ORDER) -> list[tuple[str, str]]:
    """Write what is due some minutes after the first notification; return channel and title of the new messages."""
    before = {one.message_id for one in last_messages(store, 99)}
    notify(store, CHANNELS, None, START + dt.timedelta(minutes=minute), escalation)
    found = [one for one in last_messages(store, 99) if one.message_id not in before]
    return sorted((one.channel, one.body["title"]) for one in found)


def test_channels_are_notified_in_order_until_all_have_been_and_then_every_four_hours(store: StateStore) -> None:
    happen(store, incident())

    assert sent(store, 0) == [("teams", "Denied: anomalous")]
    assert sent(store, 9.9) == []
    assert sent(store, 10) == [("email", "Not acknowledged for 10 minutes: Denied: anomalous")]
    assert sent(store, 10.1) == []
    assert sent(store, 31) == [("apprise", "Not acknowledged for 31 minutes: Denied: anomalous")]
    assert sent(store, 200) == []
    assert [channel for channel, _ in sent(store, 241)] == ["apprise", "email", "teams"]


def test_who_acknowledges_ends_it_and_the_end_goes_to_those_who_were_notified(store: StateStore) -> None:
    happen(store, incident())
    sent(store, 0)
    sent(store, 10)
    payment_store.acknowledge(store, incident().incident_id, "Ana", START)
    assert sent(store, 31) == []
    happen(store, incident(state=RESOLVED))

    assert [channel for channel, _ in sent(store, 40)] == ["email", "teams"]
    assert sent(store, 41) == []


def test_services_and_restarts_send_each_step_once(store: StateStore) -> None:
    happen(store, incident(), incident("failed"))
    notify_again = partial(notify, store, CHANNELS, None, escalation=ORDER)
    for minute in (0, 0, 10, 10, 10, 31, 31, 90):
        notify_again(now=START + dt.timedelta(minutes=minute))
    channels = sorted(one.channel for one in last_messages(store, 99))

    assert channels == sorted([*CHANNELS, *CHANNELS])


def test_a_channel_outside_its_hours_is_notified_when_they_begin(store: StateStore) -> None:
    """The incident is at noon of a Monday."""
    night = parse_escalation("teams during mon-sun 18:00-08:00 | email during mon-sun 08:00-18:00", CHANNELS)
    happen(store, incident())

    assert [channel for channel, _ in sent(store, 0, night)] == ["apprise", "email"]
    assert sent(store, 200, night) == []
    assert "teams" in [channel for channel, _ in sent(store, 361, night)]


def test_a_silence_holds_steps_back_and_an_incident_of_before_is_not_escalated_to_a_new_channel(
    store: StateStore,
) -> None:
    happen(store, incident())
    sent(store, 0)
    silence(store, None, START, START + HOUR)
    assert sent(store, 31) == []
    assert [channel for channel, _ in sent(store, 61)] == ["apprise", "email"]

    happen(store, incident("failed"))
    notify(store, ("teams",), None, START + HOUR)
    before = len(last_messages(store, 99))
    notify(store, CHANNELS, None, START + 2 * HOUR)
    assert len(last_messages(store, 99)) == before


@pytest.mark.parametrize("minute", [3, 300])
def test_an_incident_that_is_acknowledged_before_anybody_is_notified_is_quiet(store: StateStore, minute: int) -> None:
    late = parse_escalation("teams after 10 | email after 10 | apprise after 10", CHANNELS)
    happen(store, incident())
    assert sent(store, 0, late) == []
    payment_store.acknowledge(store, incident().incident_id, "Ana", START)

    assert sent(store, minute, late) == []


def test_channels_of_an_incident_are_kept_once(store: StateStore) -> None:
    with store.write() as connection:
        mark_channels(connection, "a", ["teams"], NOW)
        mark_channels(connection, "a", ["teams", "email"], NOW)

    assert notified_channels(store, ["a", "b"]) == {"a": {"teams", "email"}, "b": set()}
    assert notified_channels(store, []) == {}
