"""Keep everything else from using a home."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from quintet.embedded import object_store, postgres

_LOCKS = {
    "run.lock": "a run",
    "online/service.lock": "the service",
    "online/stream.lock": "a stream",
    "dagster/daemon.lock": "Dagster's daemon",
}
"""The lock files of a home, and what holds each."""


class HomeInUseError(RuntimeError):
    """Something uses the home; the message says what, and what to do."""


@contextmanager
def unused(home: Path) -> Iterator[None]:
    """Hold all locks of a home. Raises HomeInUseError while a run, the service, the stream or a server uses it."""
    running = [name for name, url in _servers(home).items() if url]
    with ExitStack() as held:
        for name, user in _LOCKS.items():
            if (home / name).parent.is_dir():
                lock = held.enter_context((home / name).open("a"))
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    running.append(user)
        if running:
            raise HomeInUseError(
                f"{home} is in use by {', '.join(running)}. Stop `quintet up`, `dev`, `serve`, `stream` and runs first."
            )
        yield


def _servers(home: Path) -> dict[str, str | None]:
    return {
        "the embedded PostgreSQL": postgres.running_url(home / "postgres"),
        "the embedded object store": object_store.running_url(home / "objects"),
    }
