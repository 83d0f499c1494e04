"""Delivery: a failing channel neither loses nor repeats a message; the heartbeat stops when monitoring does."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from quintet.domains import open_state_store
from quintet.payments.channels import Delivery, DeliveryError, to_webhook
from quintet.payments.outbox_worker import OutboxWorker, deliver
from quintet.state.outbox import enqueue, last_messages
from quintet.state.store import StateStore
from tests.unit.payments.teams import receiving
from tests.waiting import wait_until

NOW = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    store = open_state_store(tmp_path)
    yield store
    store.close()


def put(store: StateStore, number: int, at: dt.datetime = NOW) -> None:
    with store.write() as connection:
        enqueue(connection, f"key-{number}", ["webhook"], {"number": number}, at)


def test_through_ten_minutes_of_failure_no_message_is_lost_or_doubled(store: StateStore) -> None:
    """Send a message every half a minute, for ten minutes of the outbox's clock, to a receiver that fails."""
    with receiving(None) as receiver:
        receiver.failing = 503
        for second in range(900):
            now = NOW + dt.timedelta(seconds=second)
            if second % 30 == 0 and second < 600:
                put(store, second // 30, now)
            if second == 600:
                receiver.failing = None
            while deliver(store, "webhook", lambda one: to_webhook(receiver.url, "", one), now):
                pass
        sent = [one["number"] for one in receiver.bodies]

    assert sent == list(range(20))
    assert {one.state for one in last_messages(store, 99)} == {"sent"}
    assert 10 < receiver.attempts < 60


def test_a_blocked_channel_does_not_delay_another(store: StateStore) -> None:
    taken: list[str] = []

    def failing(_: Delivery) -> None:
        raise DeliveryError("answered 503")

    with store.write() as connection:
        enqueue(connection, "a", ["bad", "good"], {}, NOW)
    outbox_worker = OutboxWorker(store, {"bad": failing, "good": lambda one: taken.append(one.key)}, lambda: NOW)
    outbox_worker.start()
    wait_until(lambda: taken == ["a"])
    assert outbox_worker.is_alive
    outbox_worker.stop()

    assert {one.channel: one.state for one in last_messages(store, 9)} == {"bad": "waiting", "good": "sent"}


def test_two_workers_send_each_message_once(store: StateStore) -> None:
    taken: list[str] = []
    for number in range(30):
        put(store, number)
    workers = [OutboxWorker(store, {"webhook": lambda one: taken.append(one.key)}, lambda: NOW) for _ in range(2)]
    for outbox_worker in workers:
        outbox_worker.start()
    wait_until(lambda: len(taken) >= 30)
    for outbox_worker in workers:
        outbox_worker.stop()

    assert taken == [f"key-{number}" for number in range(30)]


def test_the_heartbeat_is_sent_only_while_monitoring_is_healthy(store: StateStore) -> None:
    is_healthy = True
    with receiving(None) as watcher:
        outbox_worker = OutboxWorker(store, {}, lambda: NOW, watcher.url, lambda: is_healthy, heartbeat_seconds=0.01)
        outbox_worker.start()
        wait_until(lambda: watcher.attempts >= 3)
        is_healthy = False
        time.sleep(0.1)
        beats = watcher.attempts
        time.sleep(0.2)
        outbox_worker.stop()

        assert watcher.attempts == beats


def test_an_unreachable_heartbeat_url_does_not_stop_the_heartbeat(store: StateStore) -> None:
    with receiving(None) as watcher:
        watcher.failing = 500
        outbox_worker = OutboxWorker(store, {}, lambda: NOW, watcher.url, heartbeat_seconds=0.01)
        outbox_worker.start()
        wait_until(lambda: watcher.attempts >= 3)
        assert outbox_worker.is_alive
        outbox_worker.stop()
