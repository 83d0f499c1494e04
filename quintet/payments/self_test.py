"""Evidence that payments are judged: a test message through the whole way, and what becomes of what arrives.

A heartbeat that only says "the process runs" beats while the disk is full, or while every count is refused because the
clock is wrong.
"""

from __future__ import annotations

import datetime as dt
import secrets
import threading
from collections.abc import Callable

from quintet.payments.detector import Detector
from quintet.payments.incidents import to_datetime, to_minute
from quintet.state.outbox import claim, enqueue, forget, mark_sent
from quintet.state.store import StateStore

CHANNEL = "self-test"
"""The channel of the outbox for test messages; nothing sends them."""

FRESH_SECONDS = 60.0
"""How long a passed test is evidence."""

REFUSED_SECONDS = 120.0
"""How long everything that arrives may be refused."""


_TRIES = 3
"""The test of another service on the same store may get in the way."""


class SelfTest:
    """Thread-safe. monotonic: seconds of a clock that cannot be set."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic, self._lock = monotonic, threading.Lock()
        self._passed_at: float | None = None
        self._refused_since: float | None = None
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
                with self._lock:
                    self._passed_at = self._monotonic()
                return
        raise RuntimeError("the test message cannot be claimed from the outbox")

    def note(self, is_accepted: bool) -> None:
        """Note that items arrived, and whether any of them was accepted."""
        with self._lock:
            if is_accepted:
                self._refused_since = None
                return
            self._refused_last = self._monotonic()
            if self._refused_since is None:
                self._refused_since = self._refused_last

    @property
    def is_passed(self) -> bool:
        """Whether the last test passed a moment ago, and not everything that arrives is refused."""
        with self._lock:
            now = self._monotonic()
            is_fresh = self._passed_at is not None and now - self._passed_at < FRESH_SECONDS
            still_arrives = now - self._refused_last < REFUSED_SECONDS
            all_refused = self._refused_since is not None and now - self._refused_since > REFUSED_SECONDS
            return is_fresh and not (all_refused and still_arrives)
