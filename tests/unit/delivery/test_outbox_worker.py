"""Delivery: a failing channel neither loses nor repeats a message; the heartbeat stops when monitoring does."""

from __future__ import annotations

import datetime as dt
import time

import pytest

from quintet.delivery.outbox_worker import ClockWatch, OutboxWorker, deliver
from quintet.delivery.webhook import Delivery, DeliveryError, to_webhook
from quintet.state.outbox import enqueue, last_messages
from quintet.state.store import StateStore
from tests.unit.payments.teams import receiving
from tests.waiting import wait_until

NOW = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


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


def test_an_unforeseen_exception_does_not_block_the_messages_behind_it(store: StateStore) -> None:
    taken: list[int] = []

    def send(delivery: Delivery) -> None:
        if delivery.body["number"] == 0:
            raise RuntimeError("a fault of a library, with a secret")
        taken.append(delivery.body["number"])

    for number in range(3):
        put(store, number)
    now = NOW
    for _ in range(600):
        deliver(store, "webhook", send, now)
        now += dt.timedelta(seconds=1)

    last = {one.body["number"]: one for one in last_messages(store, 9)}
    assert taken == [1, 2]
    assert (last[0].state, last[0].attempts, last[0].error) == ("given up", 5, "failed: RuntimeError; see the log")


@pytest.mark.parametrize("back", [dt.timedelta(days=2), dt.timedelta(seconds=50)])
def test_a_clock_that_is_set_back_does_not_stop_delivery(store: StateStore, back: dt.timedelta) -> None:
    taken: list[str] = []
    times, refused = [NOW], [True]

    def send(delivery: Delivery) -> None:
        if refused[0]:
            raise DeliveryError("answered 503", wait=dt.timedelta(hours=1))
        taken.append(delivery.key)

    put(store, 1)
    outbox_worker = OutboxWorker(store, {"webhook": send}, lambda: times[-1])
    outbox_worker.start()
    wait_until(lambda: last_messages(store, 1)[0].error)
    refused[0] = False
    times.append(NOW - back)
    outbox_worker.wake()
    wait_until(lambda: taken)
    outbox_worker.stop()
    assert taken == ["key-1"]


def test_a_clock_that_is_not_set_back_waits_for_the_pause(store: StateStore) -> None:
    def refuse(_: Delivery) -> None:
        raise DeliveryError("answered 503", wait=dt.timedelta(hours=1))

    put(store, 1)
    assert deliver(store, "webhook", refuse, NOW)
    assert not deliver(store, "webhook", refuse, NOW + dt.timedelta(minutes=59))
    assert deliver(store, "webhook", refuse, NOW + dt.timedelta(minutes=61))


def test_a_clock_that_jumps_forward_gives_up_no_message(store: StateStore) -> None:
    def refuse(_: Delivery) -> None:
        raise DeliveryError("answered 503")

    put(store, 1)
    assert deliver(store, "webhook", refuse, NOW + dt.timedelta(days=2))
    assert last_messages(store, 1)[0].state == "waiting"


def test_a_clock_watch_notices_only_a_clock_that_was_set_back() -> None:
    wall, seconds = [NOW], [100.0]
    watch = ClockWatch(lambda: wall[0], lambda: seconds[0])
    seen = []
    for wall_step, step in ((5.0, 5.0), (-60.0, 1.0), (1.0, 1.0), (3600.0, 1.0), (0.5, 1.0)):
        wall[0] += dt.timedelta(seconds=wall_step)
        seconds[0] += step
        seen.append(watch.was_set_back())
    assert seen == [False, True, False, False, False]
