"""The monitor service: answers, slow listeners, failures, and health."""

from __future__ import annotations

import asyncio
import datetime as dt
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from quintet.delivery.webhook import Delivery, DeliveryError
from quintet.domains import open_state_store
from quintet.payments import live as live_module
from quintet.payments import notifications
from quintet.payments import store as payment_store
from quintet.payments.incidents import to_minute
from quintet.payments.items import Item
from quintet.payments.live import Event, MonitorService
from quintet.payments.self_test import CHANNEL
from quintet.state.outbox import enqueue, last_messages
from quintet.state.store import StateStore
from tests.waiting import LONG_SECONDS, wait_until

NOW = dt.datetime(2024, 6, 1, tzinfo=dt.UTC)
FIRST = to_minute(dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC))


def minute(number: int, denied: int = 10) -> list[Item]:
    return [Item(FIRST + number, "approved", 100), Item(FIRST + number, "denied", denied)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    store = open_state_store(tmp_path)
    yield store
    store.close()


@pytest.fixture
def live(store: StateStore) -> Iterator[MonitorService]:
    live = MonitorService(store, {}, lambda: NOW)
    live.start()
    yield live
    live.stop()


def test_simultaneous_requests_get_their_own_answers(live: MonitorService) -> None:
    futures = [live.submit(minute(number)) for number in range(50)]

    for number, future in enumerate(futures):
        assert [verdict.item for verdict in future.result(LONG_SECONDS)] == minute(number)


def test_a_failed_write_fails_its_requests_and_the_next_ones_work(
    live: MonitorService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(payment_store, "save_points", no_room)
        with pytest.raises(sqlite3.OperationalError):
            live.submit(minute(0)).result(LONG_SECONDS)

    assert live.submit(minute(0)).result(LONG_SECONDS)[0].is_accepted


def test_a_slow_listener_is_disconnected_and_delays_no_other(
    live: MonitorService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "_MOST_WAITING_EVENTS", 3)

    async def listen() -> list[str | None]:
        listener = live.listen()
        for _ in range(9):
            live.say("minute", dict)
        await asyncio.sleep(0.05)
        heard = []
        while not listener.queue.empty():
            event = listener.queue.get_nowait()
            heard.append(event.kind if event else None)
        live.leave(listener)
        return heard

    assert None in asyncio.run(listen())


def test_it_is_healthy_while_its_threads_run_and_messages_are_delivered(store: StateStore) -> None:
    def refuse(_: Delivery) -> None:
        raise DeliveryError("it is away")

    with store.write() as connection:
        enqueue(connection, "another part's", ["crm"], {}, NOW - dt.timedelta(hours=1))
    live = MonitorService(store, {"teams": refuse}, lambda: NOW)
    live.start()
    assert live.judges()
    with store.write() as connection:
        enqueue(connection, "a", ["teams"], {}, NOW - dt.timedelta(hours=1))
    assert not live.judges()
    live.stop()


def test_before_its_start_and_after_its_stop_it_is_not_healthy(store: StateStore) -> None:
    live = MonitorService(store, {}, lambda: NOW)
    assert not live.judges()
    live.start()
    assert live.judges()
    live.stop()
    assert not live.judges()


def test_a_request_that_no_thread_will_take_is_refused_at_the_stop(store: StateStore) -> None:
    live = MonitorService(store, {}, lambda: NOW)
    live.start()
    live._requests.put(None)  # the thread ends before it sees the next
    future = live.submit(minute(0))
    live.stop()
    with pytest.raises(RuntimeError, match="the monitor has stopped"):
        future.result(LONG_SECONDS)


def test_a_firing_incident_is_written_for_each_channel_and_delivered(store: StateStore) -> None:
    taken: list[str] = []
    now = [NOW]

    def take(delivery: Delivery) -> None:
        taken.append(delivery.body["title"])

    live = MonitorService(store, {"webhook": take}, lambda: now[0])
    live.start()
    live.submit([item for number in range(60) for item in minute(number)]).result(LONG_SECONDS)
    live.submit(minute(60, denied=70)).result(LONG_SECONDS)
    now[0] += dt.timedelta(seconds=3)
    wait_until(lambda: taken)
    live.stop()

    assert taken == ["Denied: anomalous"]
    assert [one.state for one in last_messages(store, 9, left_out=CHANNEL)] == ["sent"]


def test_an_incident_is_notified_when_its_group_wait_ends_and_not_at_the_tick_after_it(
    store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = threading.Event()
    monkeypatch.setattr(live_module, "_TICK_SECONDS", 10 * LONG_SECONDS)
    for module in (live_module, notifications):
        monkeypatch.setattr(module, "GROUP_WAIT", dt.timedelta(seconds=0.05))
    live = MonitorService(store, {"webhook": lambda _: taken.set()}, lambda: dt.datetime.now(dt.UTC))
    live.start()
    live.submit([item for number in range(60) for item in minute(number)]).result(LONG_SECONDS)
    live.submit(minute(60, denied=70)).result(LONG_SECONDS)
    is_taken = taken.wait(LONG_SECONDS)
    live.stop()

    assert is_taken


@pytest.mark.parametrize("part", ["quintet.payments.self_test.enqueue", "quintet.payments.monitor.Monitor.take"])
def test_while_nothing_can_be_written_nothing_is_judged(
    live: MonitorService, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def refuse(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(part, refuse)
        assert not live.judges()
    assert live.submit(minute(0)).result(LONG_SECONDS)[0].is_accepted
    assert live.judges()


def test_a_thread_that_hangs_judges_nothing(live: MonitorService, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(live_module, "_LONGEST_SILENCE_SECONDS", 0.5)
    monkeypatch.setattr("quintet.payments.monitor.Monitor.take", lambda *_: go_on.wait())
    live.submit(minute(0))
    assert not live.judges()
    go_on.set()


def _numbers(live: MonitorService, after: int | None) -> list[int]:
    async def listen() -> list[int]:
        listener = live.listen(after)
        await asyncio.sleep(0)
        found = []
        while not listener.queue.empty():
            event = listener.queue.get_nowait()
            assert event is not None
            found.append(event.number)
        live.leave(listener)
        return found

    return asyncio.run(listen())


def test_a_listener_that_continues_after_a_restart_gets_what_it_has_not_seen(store: StateStore) -> None:
    first = MonitorService(store, {}, lambda: NOW)
    for _ in range(3):
        first.say("told", dict)
    (*_, last) = _numbers(first, 0)
    again = MonitorService(store, {}, lambda: NOW + dt.timedelta(seconds=2))
    for _ in range(2):
        again.say("told", dict)

    assert len(_numbers(again, last)) == 2
    assert len(_numbers(again, _numbers(again, last)[0])) == 1
    assert len(_numbers(again, 10**15)) == 2  # from before the clock was set back


def test_a_listener_that_continues_at_another_service_misses_nothing(store: StateStore) -> None:
    first, second = (
        MonitorService(store, {}, lambda at=at: NOW + dt.timedelta(milliseconds=at), name=name)
        for name, at in (("a", 2), ("b", 0))  # their numbers overlap
    )
    for service in (first, second):
        for _ in range(5):
            service.say("told", dict)
    seen = first.id_of(Event(_numbers(first, 0)[0], "told", dict))

    assert len(_numbers(first, first.number_of(seen))) == 4, "at the same service it continues there"
    assert len(_numbers(second, second.number_of(seen))) == 5
    assert second.number_of("17") == 0, "an id of a release that gave numbers alone"


@pytest.mark.parametrize("event_id", ["", "x-a", "-a", "1\u0663-a", f"{'9' * 40}-a"])
def test_an_event_id_that_is_none_starts_now(store: StateStore, event_id: str) -> None:
    assert MonitorService(store, {}, lambda: NOW, name="a").number_of(event_id) is None
