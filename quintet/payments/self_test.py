"""Evidence that payments are judged: a test message through the whole way, and what becomes of what arrives.

A heartbeat that only says "the process runs" beats while the disk is full, or while every count is refused because the
clock is wrong.
"""

from __future__ import annotations

import datetime as dt
import secrets
import threading
from collections import deque
from collections.abc import Callable

from quintet.payments.detector import Detector
from quintet.payments.incidents import to_datetime, to_minute
from quintet.state.outbox import claim, enqueue, forget, mark_sent
from quintet.state.store import StateStore

CHANNEL = "self-test"
"""The channel of the outbox for test messages; nothing sends them."""

ARRIVES_SECONDS = 120.0
"""How long after the last request that was refused requests count as arriving."""

_SHORTEST_SECONDS = 2.0
_GAPS_KEPT = 20
_LONGER_THAN_USUAL = 1.5
_TRIES = 3  # the test of another service on the same store may get in the way


class SelfTest:
    """Thread-safe. monotonic: seconds of a clock that cannot be set."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic, self._lock = monotonic, threading.Lock()
        self._accepted_at: float | None = None
        self._gaps: deque[float] = deque(maxlen=_GAPS_KEPT)  # seconds between requests that were accepted
        self._refused_first: float | None = None  # since the last that was accepted
        self._refused_last = 0.0

    def run(self, store: StateStore, now: dt.datetime) -> None:
        """Score a test item, write a message about it, claim and mark it. Raises what a real one would meet."""
        minute = to_datetime(to_minute(now))
        detector = Detector()
        detector.record(minute, {"approved": 1})
        scored = len(detector.complete(minute).points)
        for _ in range(_TRIES):
            key = f"test {now.isoformat()} {secrets.token_hex(4)}"
            with store.write() as connection:
                forget(connection, CHANNEL)
                enqueue(connection, key, [CHANNEL], {"scored": scored}, now)
            message = claim(store, CHANNEL, now)
            if message is not None and message.key == key:
                mark_sent(store, message, now)
                return
        raise RuntimeError("the test message cannot be claimed from the outbox")

    def note(self, is_accepted: bool) -> None:
        """Note that items of a request arrived, and whether any of them was accepted."""
        with self._lock:
            now = self._monotonic()
            if not is_accepted:
                self._refused_last = now
                if self._refused_first is None:
                    self._refused_first = now
                return
            if self._accepted_at is not None:
                gap = now - self._accepted_at
                # a gap in which everything was refused is none that is usual
                if self._refused_first is None or not self._gaps or gap <= self._longest():
                    self._gaps.append(gap)
            self._accepted_at, self._refused_first = now, None

    @property
    def all_is_refused(self) -> bool:
        """Whether requests arrive and none has been accepted for longer than usual."""
        with self._lock:
            now = self._monotonic()
            if self._refused_first is None or now - self._refused_last >= ARRIVES_SECONDS:
                return False
            since = self._refused_first if self._accepted_at is None else self._accepted_at
            return now - since > self._longest()

    def _longest(self) -> float:
        usual = max(self._gaps, default=0.0)
        return min(max(_SHORTEST_SECONDS, _LONGER_THAN_USUAL * usual), ARRIVES_SECONDS)
