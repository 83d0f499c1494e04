"""Whom the state store has recognised: remembered for a moment, and for longer while the store does not answer."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from quintet.state.faults import STATE_FAULTS
from quintet.state.keys import Key

FRESH_SECONDS = 1.0
"""How long an answer of PostgreSQL is used again: a revoked key is refused by every service after this time."""

STALE_SECONDS = 600.0
"""How long an answer is used while the store does not give another one."""

_PAUSE_SECONDS = 1.0
_MOST = 10_000


class Recognised:
    """Remembers keys by what they were recognised from. Thread-safe.

    fresh_seconds: how long an answer is used without asking again; 0 for a store that answers at once. monotonic:
    seconds of a clock that cannot be set.
    """

    def __init__(self, fresh_seconds: float, monotonic: Callable[[], float]) -> None:
        self._fresh_seconds, self._monotonic = fresh_seconds, monotonic
        self._found: OrderedDict[str, tuple[float, Key]] = OrderedDict()
        self._lock = threading.Lock()
        self._away_until = float("-inf")

    def find(self, name: str, look_up: Callable[[], Key | None]) -> Key | None:
        """Return the key for `name`, from `look_up` unless it was recognised a moment ago.

        name: unique for what is looked up, without a secret. While the store does not answer, whoever was recognised
        in the last minutes still is; for others the store's fault is raised.
        """
        now = self._monotonic()
        with self._lock:
            at, known = self._found.get(name, (float("-inf"), None))
        age = now - at
        if age < self._fresh_seconds or (now < self._away_until and age < STALE_SECONDS):
            return known
        try:
            key = look_up()
        except STATE_FAULTS:
            self._away_until = now + _PAUSE_SECONDS  # an address that does not answer keeps everyone waiting
            if age < STALE_SECONDS:
                return known
            raise
        with self._lock:
            self._found.pop(name, None)
            if key is not None:
                self._found[name] = now, key
                if len(self._found) > _MOST:
                    self._found.popitem(last=False)
        return key

    def forget(self, name: str) -> None:
        """Look `name` up again the next time."""
        with self._lock:
            self._found.pop(name, None)
