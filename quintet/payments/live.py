"""The monitor service: one thread scores requests, and listeners receive its events.

All waiting requests are written in one transaction, so many requests cost one write to the disk.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import structlog

from quintet.delivery.outbox_worker import OutboxWorker
from quintet.delivery.webhook import Send
from quintet.payments.escalation_steps import AT_ONCE, Escalation
from quintet.payments.incidents import Incident, Point, elapsed
from quintet.payments.items import Change, Item, Verdict
from quintet.payments.losses import BY_SHARE, Losses
from quintet.payments.monitor import Monitor
from quintet.payments.notifications import GROUP_WAIT, notify
from quintet.payments.opening_hours import LEARNED, OpeningHours
from quintet.payments.self_test import SelfTest
from quintet.payments.settings import CHANNELS
from quintet.state.outbox import oldest_waiting
from quintet.state.store import StateStore

_TICK_SECONDS = 0.5
_LONGEST_SILENCE_SECONDS = 30.0
_MOST_WAITING_EVENTS = 2_000
_EVENTS_KEPT = 2_000
_MOST_TOGETHER = 200
_OUTBOX_MAY_WAIT = dt.timedelta(minutes=30)
_LOG = structlog.get_logger()


@dataclass(frozen=True)
class Event:
    """An event for listeners. number: increases, over restarts too. make: returns the data."""

    number: int
    kind: str
    make: Callable[[], Mapping[str, Any]]

    @cached_property
    def data(self) -> Mapping[str, Any]:
        """The data of the event, made on first use: most events have no listener."""
        return self.make()


class Listener:
    """A queue of events in the event loop that created it. A listener that is too slow is disconnected."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.queue: asyncio.Queue[Event | None] = asyncio.Queue(_MOST_WAITING_EVENTS)

    def put(self, event: Event | None) -> None:
        """Add an event, from any thread; None ends the stream."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._put, event)

    def _put(self, event: Event | None) -> None:
        if event is not None and self.queue.full():
            while not self.queue.empty():
                self.queue.get_nowait()
            event = None
        self.queue.put_nowait(event)


class MonitorService:
    """Runs the monitor in a thread. clock: the time in UTC, with its zone. Nothing runs before `start`.

    name: of this process among the services; events of another one have numbers of their own.
    """

    def __init__(
        self,
        store: StateStore,
        channels: Mapping[str, Send],
        clock: Callable[[], dt.datetime],
        page_url: str | None = None,
        heartbeat_url: str | None = None,
        hours: OpeningHours = LEARNED,
        name: str = "",
        dimensions: Sequence[str] = (),
        escalation: Escalation = AT_ONCE,
        losses: Losses = BY_SHARE,
    ) -> None:
        self._name = name
        self._store, self._channels, self._clock, self._page_url = store, tuple(channels), clock, page_url
        self._escalation = escalation
        self.monitor = Monitor(store, hours, dimensions, losses)
        self.outbox_worker = OutboxWorker(store, channels, clock, heartbeat_url, self.judges)
        self._requests: queue.SimpleQueue[tuple[Sequence[Item], Future[list[Verdict]]] | None] = queue.SimpleQueue()
        self._listeners: set[Listener] = set()
        self._events: deque[Event] = deque(maxlen=_EVENTS_KEPT)
        self._lock = threading.Lock()
        # Above the numbers of the process before: a client that continues gets all that it has not seen.
        self._number = int(clock().timestamp() * 1_000)
        self._thread: threading.Thread | None = None
        self._last_round = time.monotonic()
        self._notifies_at = math.inf  # when the group wait of a new incident ends, by the monotonic clock
        self.self_test = SelfTest(time.monotonic)

    def start(self) -> None:
        """Start scoring and delivery."""
        self._thread = threading.Thread(target=self._run, name="payments", daemon=True)
        self._thread.start()
        self.outbox_worker.start()

    def stop(self) -> None:
        """Stop after the current requests, and save the state."""
        if self._thread is None:
            return
        self._requests.put(None)
        self._thread.join()
        self._thread = None
        self._refuse_waiting()
        self.end_listening()
        self.outbox_worker.stop()

    @property
    def is_healthy(self) -> bool:
        """Whether the threads run, counts are accepted and notifications delivered."""
        is_running = self._thread is not None and self._thread.is_alive() and self.outbox_worker.is_alive
        is_running = is_running and not self.self_test.all_is_refused
        waiting = oldest_waiting(self._store, CHANNELS)
        gets_out = waiting is None or elapsed(waiting, self._clock()) < _OUTBOX_MAY_WAIT
        return is_running and gets_out and time.monotonic() - self._last_round < _LONGEST_SILENCE_SECONDS

    def judges(self) -> bool:
        """Whether a request passes the thread and a test item the whole way at this moment, and all else is healthy."""
        try:
            if not self.is_healthy:
                return False
            self.submit([]).result(_LONGEST_SILENCE_SECONDS)
            self.self_test.run(self._store, self._clock())
        except Exception:  # a full disk or a locked store; the next heartbeat tries again
            _LOG.exception("the self-test of payments has failed")
            return False
        return True

    def submit(self, items: Sequence[Item]) -> Future[list[Verdict]]:
        """Queue items for scoring; the verdicts have the same order."""
        future: Future[list[Verdict]] = Future()
        self._requests.put((items, future))
        return future

    # -- listening -----------------------------------------------------------------------------------------------------

    def listen(self, after: int | None = None) -> Listener:
        """Listen from now on, or from after a recent event. Call it in the event loop."""
        listener = Listener(asyncio.get_running_loop())
        with self._lock:
            is_known = after is not None and after <= self._number  # else of a clock that has been set back since
            missed = [] if after is None else [one for one in self._events if not is_known or one.number > after]
            self._listeners.add(listener)
        for event in missed:
            listener.put(event)
        return listener

    def id_of(self, event: Event) -> str:
        """Return the id under which listeners get an event: its number, and the service that numbered it."""
        return f"{event.number}-{self._name}"

    def number_of(self, event_id: str) -> int | None:
        """Return the number of an event by its id; 0, which is before all, for one of another service; None if none."""
        number, _, name = event_id.partition("-")
        if name != self._name:
            return 0 if event_id else None
        return int(number) if number.isascii() and number.isdecimal() and len(number) < 16 else None

    def leave(self, listener: Listener) -> None:
        """Stop listening."""
        with self._lock:
            self._listeners.discard(listener)

    def end_listening(self) -> None:
        """End the stream of every listener."""
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener.put(None)

    def say(self, kind: str, make: Callable[[], Mapping[str, Any]]) -> None:
        """Send an event to all listeners."""
        with self._lock:
            self._number += 1
            event = Event(self._number, kind, make)
            self._events.append(event)
            listeners = list(self._listeners)
        for listener in listeners:
            listener.put(event)

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        ticked = 0.0
        while True:
            self._last_round = time.monotonic()
            together, is_last = self._wait_for_requests(min(_TICK_SECONDS, self._notifies_at - self._last_round))
            if together:
                self._judge(together)
            if is_last:
                break
            now = time.monotonic()
            if now >= min(ticked + _TICK_SECONDS, self._notifies_at):
                ticked = now
                self._notifies_at = math.inf if now >= self._notifies_at else self._notifies_at
                self._tick()
        self.monitor.checkpoint()

    def _wait_for_requests(self, seconds: float) -> tuple[list[tuple[Sequence[Item], Future[list[Verdict]]]], bool]:
        """Return the waiting requests, or the first that arrives in time; and whether to stop."""
        together: list[tuple[Sequence[Item], Future[list[Verdict]]]] = []
        try:
            one = self._requests.get(timeout=max(seconds, 0.0))
            while one is not None and len(together) < _MOST_TOGETHER:
                together.append(one)
                one = self._requests.get_nowait()
            if one is None:
                return together, True
            together.append(one)
        except queue.Empty:
            pass
        return together, False

    def _judge(self, together: Sequence[tuple[Sequence[Item], Future[list[Verdict]]]]) -> None:
        try:
            verdicts, change = self.monitor.take([items for items, _ in together], self._clock())
        except Exception as error:
            _LOG.exception("payments could not be recorded")
            self.self_test.note(False)
            for _, future in together:
                future.set_exception(error)
            return
        for (_, future), of_request in zip(together, verdicts, strict=True):
            if of_request:
                self.self_test.note(any(verdict.is_accepted for verdict in of_request))
            future.set_result(of_request)
        self._spread(change)

    def _refuse_waiting(self) -> None:
        while not self._requests.empty():
            if (one := self._requests.get()) is not None:
                one[1].set_exception(RuntimeError("the monitor has stopped"))

    def _tick(self) -> None:
        now = self._clock()
        try:
            self.monitor.refresh_rules()
            self.monitor.refresh_losses(now)
            self._spread(self.monitor.pass_time(now))
            if notify(self._store, self._channels, self._page_url, now, self._escalation, self.monitor.losses):
                self.outbox_worker.wake()
                self.say("notified", lambda: {"at": now.isoformat(timespec="seconds")})
        except Exception:  # a full disk or a locked store: the next tick tries again
            _LOG.exception("payments could not close minutes or write notifications; the next tick tries again")

    def _spread(self, change: Change) -> None:
        minutes: dict[int, list[Point]] = {}
        for point in change.points:
            minutes.setdefault(point.minute, []).append(point)
        for _, points in sorted(minutes.items()):
            self.say("minute", partial(minute_as_json, points))
        if change.incidents:
            self._notifies_at = min(self._notifies_at, time.monotonic() + GROUP_WAIT.total_seconds())
        for incident in change.incidents:
            self.say("incident", partial(incident_as_json, incident))


def moment(at: dt.datetime | None) -> str | None:
    """Return a time without zone, which is UTC, in ISO 8601."""
    return None if at is None else f"{at.isoformat()}Z"


def minute_as_json(points: Sequence[Point]) -> dict[str, Any]:
    """Return the points of a minute as JSON values."""
    return {"minute_at": moment(points[0].minute_at), "points": [as_json(one) for one in points]}


def as_json(point: Point) -> dict[str, Any]:
    """Return a point as JSON values."""
    return {
        "series": point.series,
        "minute_at": moment(point.minute_at),
        "score": round(point.score, 3),
        "expected": round(point.expected, 4),
        "observed": point.observed,
        "window_minutes": point.window_minutes,
        "minute_count": point.minute_count,
        "lower": round(point.lower, 4),
        "upper": round(point.upper, 4),
        "rule": point.rule or None,
        "is_anomalous": point.is_anomalous,
        "reason": point.reason if point.is_anomalous else None,
    }


def incident_as_json(incident: Incident) -> dict[str, Any]:
    """Return an incident as JSON values."""
    return {
        "incident_id": incident.incident_id,
        "group_id": incident.group_id or None,
        "series": incident.series,
        "state": incident.state,
        "severity": incident.severity,
        "started_at": moment(incident.started_at),
        "detected_at": moment(incident.detected_at),
        "ended_at": moment(incident.ended_at),
        "peak_score": round(incident.peak_score, 3),
        "expected": round(incident.expected, 4),
        "observed": incident.observed,
        "window_minutes": incident.window_minutes,
        "rule": incident.rule,
        "reason": incident.reason,
    }
