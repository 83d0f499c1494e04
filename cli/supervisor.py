"""Run several programs as one: each log line is prefixed with the program's name, and all stop when one ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from cli.guard import name_group

STOP_SECONDS = 5.5
"""Time in which all parts have to end after a request to stop, with what they do before; then they are killed.

The rest of `cli.guard.GRACE_SECONDS` is for what the command stops itself, so that the guard need not kill it.
"""

_POLL_SECONDS = 0.2
_LEAST_JOIN_SECONDS = 0.2
"""Time to read the last lines of a part that was killed; a process outside its group may hold its output open."""
_LEAST_PRIORITY = 19


@dataclass(frozen=True)
class Part:
    """A program: its name in the log, its command, and its extra environment variables.

    stop_signal: the signal that stops it. before_stop: called before the signal, with the part's process group; a
    process that it returns has to end in the same time as the parts.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    before_stop: Callable[[int], subprocess.Popen[bytes] | None] | None = None


class Supervisor:
    """Runs parts until one ends, `stop` is called, or Ctrl-C; calls `write` with each line of the log."""

    def __init__(self, parts: Sequence[Part], environment: Mapping[str, str], write: Callable[[str], None]) -> None:
        self._parts, self._environment = parts, environment
        self._lock = threading.Lock()
        self._write = write
        self._width = max((len(part.name) for part in parts), default=0)
        self._stopping = threading.Event()
        self._running: list[tuple[Part, subprocess.Popen[str], threading.Thread]] = []

    def run(self) -> int:
        """Run until a stop and return 0; or until a part ends by itself, log which one, and return 1.

        Each part has its own process group, so that Ctrl-C reaches it only through this process and its children stop
        with it. All parts share one session: Linux divides the processor evenly among sessions, which would make a
        lowered priority useless.
        """
        former = {number: signal.signal(number, self._ask_to_stop) for number in (signal.SIGINT, signal.SIGTERM)}
        ended: Part | None = None
        try:
            for part in self._parts:
                self._start(part)
            while ended is None and not self._stopping.wait(_POLL_SECONDS):
                ended = next((part for part, process, _ in self._running if process.poll() is not None), None)
            if ended is not None:
                self._log(f"{ended.name} has ended; stopping the others")
        finally:
            self._stop_all()
            for number, handler in former.items():
                signal.signal(number, handler)
        return 0 if ended is None else 1

    def stop(self) -> None:
        """Ask all parts to stop; `run` returns when they have."""
        self._stopping.set()

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  # the signature of a handler
        self.stop()

    def _start(self, part: Part) -> None:
        process = subprocess.Popen(
            part.command,
            env={**self._environment, **part.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            bufsize=1,
            process_group=0,
        )
        name_group(process.pid)
        listener = threading.Thread(target=self._listen, args=(part, process), name=part.name, daemon=True)
        self._running.append((part, process, listener))
        listener.start()

    def _listen(self, part: Part, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            self._line(part.name, line.rstrip("\n"))

    def _stop_all(self) -> None:
        """Stop the parts in reverse order of their start, because later ones may need earlier ones."""
        until = time.monotonic() + STOP_SECONDS
        helpers: list[subprocess.Popen[bytes]] = []
        for part, process, _ in reversed(self._running):
            if process.poll() is None:
                helper = part.before_stop(process.pid) if part.before_stop is not None else None
                helpers += [] if helper is None else [helper]
                process.send_signal(part.stop_signal)
        for part, process, listener in reversed(self._running):
            if not _ends_by(process, until):
                self._log(f"{part.name} did not stop within {STOP_SECONDS:g} s; killing it")
            _kill_group(process)
            listener.join(max(_LEAST_JOIN_SECONDS, until - time.monotonic()))
        for helper in helpers:
            if not _ends_by(helper, until):
                helper.kill()
                helper.wait()
        self._running.clear()

    def _log(self, text: str) -> None:
        self._line("up", text)

    def _line(self, name: str, text: str) -> None:
        with self._lock:
            self._write(f"{name:<{self._width}} | {text}\n")


def _ends_by(process: subprocess.Popen[Any], until: float) -> bool:
    """Wait for a process until a time of the monotonic clock; return whether it has ended."""
    try:
        process.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


def _kill_group(process: subprocess.Popen[str]) -> None:
    """Kill what is left of a part and of the processes it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def to_standard_output(line: str) -> None:
    """Write a line of the log and flush it."""
    sys.stdout.write(line)
    sys.stdout.flush()


def step_back(process: int = 0) -> None:
    """Lower the priority of a process and its children for good: they run only when the processor is idle.

    So answers do not wait for builds. If the system lacks or refuses the idle scheduling class, use the lowest
    priority. process: its id; 0 is this process.
    """
    try:
        os.sched_setscheduler(process, os.SCHED_IDLE, os.sched_param(0))
    except (AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, process, _LEAST_PRIORITY)
