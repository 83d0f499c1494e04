"""Shared parts of the embedded servers: processes, locks, free ports, files with secrets."""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_FIRST_PORT, _PORTS, _TRIES = 15_000, 15_000, 20
_KILL_SECONDS = 10
_ORPHAN_SECONDS = 5.0
_POLL_SECONDS = 0.05


class EmbeddedServerError(RuntimeError):
    """An embedded server cannot be started, reached or stopped; the message says why and how to fix it."""


class EmbeddedServer(ABC):
    """A server in its own process: `start` and `stop`, or a `with` block."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None

    @abstractmethod
    def start(self) -> object:
        """Start the server and wait until it answers."""

    @abstractmethod
    def stop(self) -> None:
        """Stop the server cleanly. Does nothing if it does not run."""

    def kill(self) -> None:
        """Kill the server, as a crash would; acknowledged writes stay. For tests of crashes."""
        if self._process is not None:
            end(self._process, signal.SIGKILL, _KILL_SECONDS)
            self._process = None
            self._release()

    def _take(self, folder: Path, running: Callable[[], int | None], stop_signal: int) -> int | None:
        """Lock the folder for this process; return None, or the pid of a server that another living process started.

        First stops a server whose starter is dead, because no other process would.
        """
        if self._lock is None:
            self._lock = lock_of(folder)
        if self._lock is None:
            return running() or 0
        stop_orphan(running, stop_signal)
        return None

    def _give_up(self) -> None:
        """Clean up after a failed start."""
        self.kill()
        self._release()

    def _release(self) -> None:
        """Unlock the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()


def lock_of(folder: Path) -> int | None:
    """Lock the folder's server for this process and return the descriptor; None if a living process has the lock.

    The system unlocks it when this process ends or crashes.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder.with_name(f"{folder.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def stop_orphan(running: Callable[[], int | None], stop_signal: int) -> None:
    """Stop the server that `running` finds; kill it if it does not stop. The caller holds its lock."""
    for number, seconds in ((stop_signal, _ORPHAN_SECONDS), (signal.SIGKILL, _KILL_SECONDS)):
        pid, until = running(), time.monotonic() + seconds
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        while running() == pid and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)


def stop_left(folder: Path, running: Callable[[], int | None], stop_signal: int) -> None:
    """Stop the server of a folder if the process that started it is dead."""
    if running() is not None and (lock := lock_of(folder)) is not None:
        stop_orphan(running, stop_signal)
        os.close(lock)


def as_process(pid: int) -> str:
    """Return the part of a message that names a server's process; empty if it has none yet."""
    return f", as process {pid}" if pid else ""


def free_port(preferred: int | None = None) -> int:
    """Return a free port of 127.0.0.1: `preferred` if it is free.

    Others are below those that systems give to outgoing connections, which could take it before it is used.
    """
    drawn = [_FIRST_PORT + secrets.randbelow(_PORTS) for _ in range(_TRIES)]
    for port in ([preferred] if preferred else []) + [*drawn, 0]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise EmbeddedServerError("127.0.0.1 has no free port; stop a program that listens there")


def write_private(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, readable by its owner only."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def last_lines(path: Path, count: int = 5) -> str:
    """Return the last lines of a log, for a message."""
    if not path.exists():
        return "(it wrote no log)"
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])


def end(process: subprocess.Popen[bytes], signal_number: int, seconds: float) -> bool:
    """Send a signal to a child process and wait; return whether it has ended."""
    if process.poll() is None:
        process.send_signal(signal_number)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True
