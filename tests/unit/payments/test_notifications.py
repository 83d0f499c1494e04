"""Notifications: grouped, delayed, repeated, silenced, acknowledged, sent once."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from quintet.payments import store as payment_store
from quintet.payments.backtest import incident_frame
from quintet.payments.incidents import FIRING, RESOLVED, WITHDRAWN, Incident
from quintet.payments.notifications import GROUP_WAIT, MOST_NAMED, message, notify, notify_batch
from quintet.payments.silences import end_silence
from quintet.state.outbox import Message, last_messages
from quintet.state.store import StateStore
from tests.unit.payments.incidents import FIRST, HOUR, NOW, happen, incident, silence


def newly_sent(store: StateStore, at: dt.datetime, channels: tuple[str, ...] = ("teams",)) -> list[Message]:
    """Write the due notifications at a time; return the new ones."""
    before = {one.message_id for one in last_messages(store, 99)}
    notify(store, channels, None, at)
    return [one for one in last_messages(store, 99) if one.message_id not in before]


def test_an_incident_is_reported_once_after_the_wait(store: StateStore) -> None:
    happen(store, incident())

    assert newly_sent(store, NOW + GROUP_WAIT / 2) == []
    (first,) = newly_sent(store, NOW + GROUP_WAIT)
    assert first.body["title"] == "Denied: anomalous"
    assert newly_sent(store, NOW + HOUR) == []


def test_an_incident_from_before_the_clock_was_set_back_does_not_wait_for_that_time(store: StateStore) -> None:
    happen(store, incident(), at=NOW + 48 * HOUR)

    assert len(newly_sent(store, NOW)) == 1
    assert newly_sent(store, NOW + HOUR) == []


def test_incidents_of_one_cause_are_one_message_to_each_channel(store: StateStore) -> None:
    volume = incident("volume", severity="critical")
    happen(store, volume, incident("denied", group=volume.group_id), incident("failed"))
    messages = newly_sent(store, NOW + HOUR, ("teams", "email"))
    named = sorted((one.channel, sorted(single["series"] for single in one.body["incidents"])) for one in messages)

    together = ["denied", "volume"]
    assert named == [("email", together), ("email", ["failed"]), ("teams", together), ("teams", ["failed"])]
    assert {one.body["severity"] for one in messages if len(one.body["incidents"]) == 2} == {"critical"}


def test_a_report_is_repeated_after_four_hours_until_it_is_acknowledged(store: StateStore) -> None:
    happen(store, incident())
    newly_sent(store, NOW + GROUP_WAIT)

    assert newly_sent(store, NOW + 3.9 * HOUR) == []
    assert len(newly_sent(store, NOW + 4.1 * HOUR)) == 1
    assert payment_store.acknowledge(store, incident().incident_id, "Ana", NOW + 5 * HOUR)
    assert newly_sent(store, NOW + 9 * HOUR) == []


def test_a_report_is_repeated_though_the_clock_was_set_back_since_the_last(store: StateStore) -> None:
    happen(store, incident())
    newly_sent(store, NOW + 48 * HOUR)

    assert len(newly_sent(store, NOW)) == 1
    assert newly_sent(store, NOW + HOUR) == []


def test_the_end_is_reported_once_and_nothing_after_it(store: StateStore) -> None:
    happen(store, incident())
    newly_sent(store, NOW + GROUP_WAIT)
    happen(store, incident(state=RESOLVED))
    (end,) = newly_sent(store, NOW + HOUR)

    assert end.body["state"] == RESOLVED
    assert end.body["incidents"][0]["until"] == "2024-01-01 12:10 UTC"
    assert newly_sent(store, NOW + 9 * HOUR) == []


def test_an_incident_that_late_counts_withdraw_at_once_is_never_reported(store: StateStore) -> None:
    happen(store, incident())
    happen(store, incident(state=WITHDRAWN))

    assert newly_sent(store, NOW + HOUR) == []


def test_a_withdrawal_is_reported_and_so_is_an_incident_that_fires_after_it(store: StateStore) -> None:
    happen(store, incident())
    newly_sent(store, NOW + GROUP_WAIT)
    happen(store, incident(state=WITHDRAWN))
    (back,) = newly_sent(store, NOW + GROUP_WAIT * 2)
    happen(store, incident())
    (again,) = newly_sent(store, NOW + GROUP_WAIT * 3)

    assert (back.body["title"], again.body["state"]) == ("Denied: alert withdrawn after late counts", FIRING)


def test_an_incident_that_ended_within_the_wait_is_reported_once(store: StateStore) -> None:
    happen(store, incident())
    happen(store, incident(state=RESOLVED))

    assert [one.body["state"] for one in newly_sent(store, NOW + HOUR)] == [RESOLVED]
    assert newly_sent(store, NOW + 9 * HOUR) == []


def test_a_silence_suppresses_its_series_until_it_expires(store: StateStore) -> None:
    happen(store, incident("denied"), incident("failed"))
    silence(store, "denied", NOW, NOW + HOUR)

    assert [one.body["incidents"][0]["series"] for one in newly_sent(store, NOW + HOUR / 2)] == ["failed"]
    assert [one.body["incidents"][0]["series"] for one in newly_sent(store, NOW + HOUR)] == ["denied"]


def test_an_incident_that_becomes_critical_is_reported_again_even_if_it_was_acknowledged(store: StateStore) -> None:
    happen(store, incident())
    newly_sent(store, NOW + GROUP_WAIT)
    payment_store.acknowledge(store, incident().incident_id, "Ana", NOW + GROUP_WAIT)
    happen(store, incident(severity="critical"))

    (escalated,) = newly_sent(store, NOW + HOUR / 2)
    assert (escalated.body["severity"], escalated.body["state"]) == ("critical", FIRING)
    assert newly_sent(store, NOW + 9 * HOUR) == []


def test_an_incident_that_is_critical_from_the_start_is_reported_once(store: StateStore) -> None:
    happen(store, incident(severity="critical"))
    newly_sent(store, NOW + GROUP_WAIT)

    assert newly_sent(store, NOW + HOUR) == []


def test_a_silence_holds_an_escalation_back(store: StateStore) -> None:
    happen(store, incident())
    newly_sent(store, NOW + GROUP_WAIT)
    silence(store, None, NOW, NOW + HOUR)
    happen(store, incident(severity="critical"))

    assert newly_sent(store, NOW + HOUR / 2) == []
    assert [one.body["severity"] for one in newly_sent(store, NOW + HOUR)] == ["critical"]


def test_an_end_within_a_silence_is_reported_after_it(store: StateStore) -> None:
    happen(store, incident())
    newly_sent(store, NOW + GROUP_WAIT)
    silence(store, "denied", NOW, NOW + HOUR)
    happen(store, incident(state=RESOLVED))

    assert newly_sent(store, NOW + HOUR / 2) == []
    assert [one.body["state"] for one in newly_sent(store, NOW + HOUR)] == [RESOLVED]
    assert newly_sent(store, NOW + 9 * HOUR) == []


def test_an_incident_that_began_and_ended_within_a_silence_is_never_reported(store: StateStore) -> None:
    silence(store, "denied", NOW, NOW + HOUR)
    happen(store, incident())
    happen(store, incident(state=RESOLVED))

    assert newly_sent(store, NOW + HOUR / 2) == []
    assert newly_sent(store, NOW + 2 * HOUR) == []


def test_an_ended_silence_suppresses_nothing(store: StateStore) -> None:
    happen(store, incident())
    made = silence(store, None, NOW, NOW + HOUR)

    assert newly_sent(store, NOW + HOUR / 4) == []
    assert end_silence(store, made.silence_id, NOW + HOUR / 2)
    assert not end_silence(store, made.silence_id, NOW + HOUR / 2)
    assert len(newly_sent(store, NOW + HOUR / 2)) == 1


def test_without_a_channel_no_message_waits_for_a_later_one(store: StateStore) -> None:
    happen(store, incident())
    notify(store, (), None, NOW + HOUR)

    assert newly_sent(store, NOW + 2 * HOUR) == []


def test_a_message_names_some_incidents_and_counts_the_rest() -> None:
    many = [incident(f"status {number}") for number in range(MOST_NAMED + 5)]

    assert (len(message(many, None, NOW)["incidents"]), message(many, None, NOW)["left_out"]) == (MOST_NAMED, 5)


def frame(*incidents: Incident) -> pd.DataFrame:
    return incident_frame(list(incidents))


def test_a_run_reports_its_incidents_in_one_message_and_the_next_run_none(store: StateStore) -> None:
    found = frame(incident("denied", RESOLVED), incident("failed", RESOLVED))

    assert notify_batch(store, found, ["teams"], None, NOW) == 2
    assert notify_batch(store, found, ["teams"], None, NOW + HOUR) == 0
    (one,) = last_messages(store, 9)
    assert one.body["title"] == "2 incidents found in files"
    assert newly_sent(store, NOW + 9 * HOUR) == []


def test_a_run_does_not_repeat_incidents_that_the_live_feed_reported(store: StateStore) -> None:
    happen(store, incident("denied", start=FIRST + 2))
    newly_sent(store, NOW + GROUP_WAIT)
    happen(store, incident("denied", RESOLVED, FIRST + 2))
    found = frame(incident("denied", RESOLVED), incident("denied", RESOLVED, FIRST + 600))

    # the same time, another start minute: the live feed had seen less of the past
    assert notify_batch(store, found, ["teams"], None, NOW + HOUR) == 1


def test_no_incidents_are_no_message(store: StateStore) -> None:
    assert notify_batch(store, frame(), ["teams"], None, NOW) == 0


@pytest.mark.parametrize(
    ("states", "title"),
    [
        ((FIRING, FIRING), "Denied, approved transactions: anomalous"),
        ((RESOLVED, RESOLVED), "Denied, approved transactions: back to normal"),
        ((RESOLVED, FIRING), "Approved transactions: anomalous; denied: back to normal"),
        ((WITHDRAWN, RESOLVED), "Approved transactions: back to normal; denied: alert withdrawn after late counts"),
    ],
)
def test_the_title_says_of_each_series_what_it_is(states: tuple[str, str], title: str) -> None:
    incidents = [incident(series, state) for series, state in zip(("denied", "volume"), states, strict=True)]

    assert message(incidents, None, NOW)["title"] == title
