"""The lock that a home's daemon holds while it is alive."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def daemon_lock(dagster_home: Path) -> Iterator[None]:
    """Hold the daemon lock of a home. Raises BlockingIOError if another daemon holds it."""
    with (dagster_home / "daemon.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def is_daemon_alive(dagster_home: Path) -> bool:
    """Return whether a daemon of this home is alive."""
    try:
        with daemon_lock(dagster_home):
            return False
    except BlockingIOError:
        return True
