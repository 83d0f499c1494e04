"""Wait for another thread or process until it is done, however slow the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")

LONG_SECONDS = 600.0
"""The limit of every wait in the suite, after which a process counts as stuck. It is no limit on speed."""

_PAUSE_SECONDS = 0.02
_MOST_PAUSE_SECONDS = 0.5
_PAUSE_BY_CHECK = 5
"""The pause after a check, in durations of the check: waiting leaves the processors to what is awaited."""


def wait_until(holds: Callable[[], _T], explain: Callable[[], object] = lambda: "") -> _T:
    """Return the first true result of `holds`. Fail the test after `LONG_SECONDS` with `explain()`."""
    until = time.monotonic() + LONG_SECONDS
    while True:
        began = time.monotonic()
        if found := holds():
            return found
        ended = time.monotonic()
        assert ended < until, f"it has not occurred within {LONG_SECONDS:.0f} s: {explain()}"
        time.sleep(min(max(_PAUSE_SECONDS, _PAUSE_BY_CHECK * (ended - began)), _MOST_PAUSE_SECONDS))
