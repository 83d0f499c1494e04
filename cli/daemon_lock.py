"""The lock that says that a daemon of a home is alive."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def daemon_lock(dagster_home: Path) -> Iterator[None]:
    """Hold what says that a daemon of this home is alive. Raises BlockingIOError where another one is."""
    with (dagster_home / "daemon.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def is_daemon_alive(dagster_home: Path) -> bool:
    """Whether a command that runs the daemon of this home is alive."""
    try:
        with daemon_lock(dagster_home):
            return False
    except BlockingIOError:
        return True
