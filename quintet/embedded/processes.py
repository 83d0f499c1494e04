"""What the embedded servers share: free ports, secrets in files, ending a process.

Belongs here: small helpers around sockets, files and processes that both servers need.
"""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path


class EmbeddedServerError(RuntimeError):
    """An embedded server cannot be started, reached or stopped; the text says why and how to mend it."""


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
