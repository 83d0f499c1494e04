"""Wait for another thread or process until it is done, however slow the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")

LONG_SECONDS = 600.0
"""The limit of every wait in the suite, after which a process counts as stuck. It is no limit on speed."""

_PAUSE_SECONDS = 0.02


def wait_until(holds: Callable[[], _T], explain: Callable[[], object] = lambda: "") -> _T:
    """Return the first true result of `holds`. Fail the test after `LONG_SECONDS` with `explain()`."""
    until = time.monotonic() + LONG_SECONDS
    while not (found := holds()):
        assert time.monotonic() < until, f"it has not occurred within {LONG_SECONDS:.0f} s: {explain()}"
        time.sleep(_PAUSE_SECONDS)
    return found
