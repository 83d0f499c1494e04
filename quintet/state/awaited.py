"""Wait for the database of the state store, for processes that start beside it or while it starts again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from quintet.state.faults import StateAwayError, StateUnavailableError

Opened = TypeVar("Opened")

LONGEST_SECONDS = 60.0
_PAUSE_SECONDS = 0.5

_LOG = structlog.get_logger()


def once_it_answers(
    open_it: Callable[[], Opened],
    longest_seconds: float = LONGEST_SECONDS,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Opened:
    """Return what `open_it` returns; call it again while the database of the state does not answer, and log why.

    Raises StateAwayError or StateUnavailableError if it does not answer in time; every other error at once.
    """
    until, last = monotonic() + longest_seconds, ""
    while True:
        try:
            return open_it()
        except (StateAwayError, StateUnavailableError) as error:
            if monotonic() >= until:
                raise
            if str(error) != last:
                last = str(error)
                _LOG.warning("waiting for the state store", reason=last, longest_seconds=longest_seconds)
        sleep(_PAUSE_SECONDS)
