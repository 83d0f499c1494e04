"""The time of all services of one state store: that of its PostgreSQL, whatever the clocks of their machines say."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable

import structlog

from quintet.state.faults import STATE_FAULTS
from quintet.state.store import StateStore
from quintet.state_place import StatePlace

Clock = Callable[[], dt.datetime]

_ASK_SECONDS = 30.0
_SLOW_SECONDS = 0.5
"""An answer that took longer says little about the time; the one before is used on."""

_WORTH_A_WARNING = dt.timedelta(seconds=5)
_LOG = structlog.get_logger()


def machine_clock() -> dt.datetime:
    """Return the time of this machine in UTC."""
    return dt.datetime.now(dt.UTC)


class SharedClock:
    """Returns the time of PostgreSQL, counted on from the last answer. ask: returns that time, in UTC."""

    def __init__(self, ask: Clock, own: Clock = machine_clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._own, self._monotonic = ask, own, monotonic
        self._last: tuple[dt.datetime, float] | None = None
        self._warned_of = dt.timedelta()

    def __call__(self) -> dt.datetime:
        """Return the time; that of this machine before the first answer."""
        last = self._last
        return self._own() if last is None else last[0] + dt.timedelta(seconds=self._monotonic() - last[1])

    def synchronise(self) -> None:
        """Ask for the time. Raises the faults of the state store."""
        began = self._monotonic()
        answered = self._ask()
        ended = self._monotonic()
        if self._last is not None and ended - began > _SLOW_SECONDS:
            return
        self._last = answered, (began + ended) / 2
        off = self._own() - self()
        if abs(off - self._warned_of) > _WORTH_A_WARNING:
            self._warned_of = off
            _LOG.warning("the clock of this machine differs from that of the state store, which is used", off=str(off))

    def follow(self) -> None:
        """Ask regularly in a thread, as long as the process lives; keep counting on while there is no answer."""

        def ask_regularly() -> None:
            while True:
                time.sleep(_ASK_SECONDS)
                try:
                    self.synchronise()
                except STATE_FAULTS as error:
                    _LOG.info("the state store does not say the time", error=str(error))

        threading.Thread(target=ask_regularly, name="shared clock", daemon=True).start()


def clock_of(place: StatePlace) -> Clock:
    """Return the clock of a service: this machine's with an SQLite file, else that of PostgreSQL."""
    if place.url is None:
        return machine_clock
    store = StateStore(place)

    def ask() -> dt.datetime:
        query = "select cast(extract(epoch from clock_timestamp()) as float)"
        ((seconds,),) = store.read().execute(query).fetchall()
        return dt.datetime.fromtimestamp(seconds, dt.UTC)

    clock = SharedClock(ask)
    clock.synchronise()
    clock.follow()
    return clock
