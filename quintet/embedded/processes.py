"""What the embedded servers share: a process to start and end, free ports, secrets in files.

Belongs here: what both servers need around sockets, files and processes. How each is started stands in its own file.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

OWNER = "owner"
_KILL_SECONDS = 10
_POLL_SECONDS = 0.02


class EmbeddedServerError(RuntimeError):
    """An embedded server cannot be started, reached or stopped; the text says why and how to mend it."""


class EmbeddedServer(ABC):
    """A server of ours in a process of its own: `start` and `stop`, or a `with` block."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def _note_owner(self, folder: Path) -> None:
        """Record who started the server, so that one whose starter was killed can be told from one in use."""
        write_private(folder / OWNER, f"{os.getpid()} {_started_at(os.getpid())}")

    @abstractmethod
    def start(self) -> object:
        """Start the server and wait until it answers."""

    @abstractmethod
    def stop(self) -> None:
        """Stop the server in good order. Not running is no error."""

    def kill(self) -> None:
        """End the server at once, as a crash would; what was acknowledged stays. For trials of what then happens."""
        if self._process is not None:
            end(self._process, signal.SIGKILL, _KILL_SECONDS)
            self._process = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()


def is_abandoned(folder: Path) -> bool:
    """Whether the process that started the server of `folder` has ended without stopping it."""
    file = folder / OWNER
    words = file.read_text(encoding="utf-8").split() if file.exists() else []
    if len(words) != 2 or not words[0].isdigit():
        return False
    return _started_at(int(words[0])) != words[1]


def _started_at(pid: int) -> str:
    """When a process began, in the system's own units, since numbers are used again; `ended` where there is none."""
    try:
        if not Path("/proc").is_dir():  # no Linux: the number alone has to do
            os.kill(pid, 0)
            return "running"
        # The name of the program, in brackets, may hold blanks.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return "ended" if fields[0] == "Z" else fields[19]
    except (OSError, IndexError):
        return "ended"


def end_by_pid(pid: int, signal_number: int, seconds: float) -> bool:
    """Send a signal to a process that was not started here and wait; whether it has ended."""
    until = time.monotonic() + seconds
    with suppress(ProcessLookupError):
        os.kill(pid, signal_number)
    while _started_at(pid) != "ended":
        if time.monotonic() > until:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def free_port(preferred: int | None = None) -> int:
    """A port of 127.0.0.1 that nobody listens on: `preferred` if it is free."""
    for port in ([preferred] if preferred else []) + [0]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise EmbeddedServerError("127.0.0.1 has no free port; end a program that listens there")


def write_private(path: Path, text: str) -> None:
    """Write `text` to `path`, readable by its owner alone, all of it or nothing."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def last_lines(path: Path, count: int = 5) -> str:
    """The last lines of a log, for a message."""
    if not path.exists():
        return "(it wrote no log)"
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])


def end(process: subprocess.Popen[bytes], signal_number: int, seconds: float) -> bool:
    """Send a signal to a process that was started here and wait; whether it has ended."""
    if process.poll() is None:
        process.send_signal(signal_number)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True
