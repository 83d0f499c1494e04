"""The notifier of runs sends each message once, and a message that a channel refuses waits in the outbox."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from quintet.delivery.webhook import Delivery, DeliveryError
from quintet.domains import open_state_store
from quintet.payments.backtest import incident_frame
from quintet.payments.incidents import RESOLVED, Incident
from quintet.state.outbox import WAITING, last_messages
from resources.notifier import Notifier

NOW = dt.datetime(2024, 1, 1, 12)  # as the clock of a run gives it
FOUND = incident_frame(
    [
        Incident(
            "denied",
            RESOLVED,
            28_400_000,
            28_400_002,
            28_400_009,
            0,
            "warning",
            9.0,
            10.0,
            60,
            5,
            "rate_tail",
            "a" * 12,
            28_400_010,
        )
    ]
)


def test_new_incidents_are_sent_once_by_any_number_of_runs(tmp_path: Path) -> None:
    taken: list[str] = []
    notifier = Notifier(tmp_path, {"webhook": lambda one: taken.append(one.body["title"])}, None)

    assert [notifier.tell_of_incidents(FOUND, NOW) for _ in range(3)] == [1, 0, 0]
    assert taken == ["1 incident found in files"]


def test_a_channel_that_is_down_fails_no_run_and_its_message_waits(tmp_path: Path) -> None:
    def down(_: Delivery) -> None:
        raise DeliveryError("answered 503")

    assert Notifier(tmp_path, {"webhook": down}, None).tell_of_incidents(FOUND, NOW) == 1
    store = open_state_store(tmp_path)
    (message,) = last_messages(store, 9)
    store.close()
    assert (message.state, message.attempts, message.error) == (WAITING, 1, "answered 503")


def test_without_channels_nothing_is_written(tmp_path: Path) -> None:
    Notifier(tmp_path, {}, None).tell_of_incidents(FOUND, NOW)
    store = open_state_store(tmp_path)

    assert last_messages(store, 9) == []
    store.close()
