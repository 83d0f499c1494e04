"""Run a command's work in a child process that a small parent watches, so that the command always ends on a signal.

The parent uses only the standard library and computes nothing, so it handles signals whatever the work is doing: a
native query, a lock, another program. It interrupts the work, gives it time to end by itself, and then kills it with
everything it started. Parent and child each notice at once when the other is killed.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

STUCK_SECONDS = 3.0
"""Time after the interrupt until the work counts as stuck and one of its threads records its end."""

GRACE_SECONDS = 7.5
"""Time after the interrupt until everything that still runs is killed."""

_STRAGGLER_SECONDS = 1.0
_POLL_SECONDS = 0.5
_ORPHAN_SECONDS = 5.0
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Work:
    """The state of this process as a guard's child: the pipe for its process groups, and what to do when stuck."""

    groups_to: int | None = None
    when_stuck: Callable[[], None] | None = None
    is_orphan = False
    status = 1


def guarded(work: Callable[[], int], after_death: Callable[[], None] | None = None) -> int:
    """Run `work` in a child process; return its exit status, or 128 plus the number of the signal that stopped it.

    Call it before any thread is started.
    after_death: runs in the parent if the work was killed, by the guard or by others, and could not clean up.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    former = {number: signal.getsignal(number) for number in _STOPS}
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)  # until the handlers are set; signals wait until then
    lifeline_from, lifeline_to = os.pipe()
    groups_from, groups_to = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(lifeline_to)
        os.close(groups_from)
        _become_work(lifeline_from, groups_to)
        atexit.register(_skip_teardown)  # the first to be registered runs last
        _Work.status = _status_of(work)
        if _Work.is_orphan:
            os.killpg(0, signal.SIGKILL)
        sys.exit(_Work.status)
    os.close(lifeline_from)
    os.close(groups_to)
    with suppress(OSError):  # the child does it too; either may be first
        os.setpgid(child, child)
    try:
        return _Watch(child, lifeline_to, groups_from).until_the_end(after_death)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        os.close(lifeline_to)
        os.close(groups_from)


def name_group(group: int) -> None:
    """Report a process group that the work has started, so that the guard ends it if the work is killed."""
    if _Work.groups_to is not None:
        os.write(_Work.groups_to, f"{group}\n".encode())


def when_stuck(record: Callable[[], None] | None) -> None:
    """Set what a thread does before the process is killed because the main thread ignores the interrupt."""
    _Work.when_stuck = record


def end_group(group: int, seconds: float) -> None:
    """Ask the processes of a group to end, and kill those that still run after `seconds`."""
    until = time.monotonic() + seconds
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGTERM)
        while time.monotonic() < until:
            time.sleep(0.05)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)


def _become_work(lifeline: int, groups: int) -> None:
    with suppress(OSError):
        os.setpgid(0, 0)
    _Work.groups_to = groups
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that open files and connections are closed
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the parent interrupts this process for it
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
    threading.Thread(target=_hold_lifeline, args=(lifeline,), name="lifeline", daemon=True).start()


def _skip_teardown() -> None:
    """Exit without tearing down the interpreter, which would report DuckDB connections of daemon threads as leaks."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(_Work.status)


def _status_of(work: Callable[[], int]) -> int:
    try:
        return work()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    finally:
        _Work.when_stuck = None


def _hold_lifeline(lifeline: int) -> None:
    """End this process and its group when the parent sends a byte, which means stuck, or when the parent is gone."""
    if not os.read(lifeline, 1):
        _Work.is_orphan = True
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(_ORPHAN_SECONDS)
    if _Work.when_stuck is not None:
        _Work.when_stuck()
        os.killpg(0, signal.SIGKILL)
    elif not os.read(lifeline, 1):
        os.killpg(0, signal.SIGKILL)


class _Watch:
    """The parent's side: waits for the end of the work and for signals to stop it."""

    def __init__(self, child: int, lifeline: int, groups: int) -> None:
        self._child, self._lifeline, self._groups_from = child, lifeline, groups
        self._groups = {child}
        self._named = b""
        self._parent = os.getppid()
        self._ends_with_parent = "MAKELEVEL" in os.environ  # a killed make does not stop its children
        self._asked: int | None = None
        self._status: int | None = None
        self._wake_from, wake = os.pipe()
        for descriptor in (self._wake_from, wake, groups):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler, so that it wakes the watch
        for number in _STOPS:
            signal.signal(number, self._ask)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)

    def until_the_end(self, after_death: Callable[[], None] | None) -> int:
        """Wait for the end, stop everything that is left, and return the exit status."""
        while not self._ends_by(time.monotonic() + _POLL_SECONDS) and self._asked is None:
            if self._ends_with_parent and os.getppid() != self._parent:
                self._asked = signal.SIGTERM
        began = time.monotonic()
        if self._status is None:
            self._signal(signal.SIGINT)
            if not self._ends_by(began + STUCK_SECONDS):
                os.write(self._lifeline, b"!")
            if not self._ends_by(began + GRACE_SECONDS):
                self._signal(signal.SIGKILL)
                self._ends_by(time.monotonic() + _STRAGGLER_SECONDS)
        self._read_groups()
        for group in self._groups:
            end_group(group, _STRAGGLER_SECONDS)
        was_killed = self._status is None or os.WIFSIGNALED(self._status)
        if was_killed and after_death is not None:
            after_death()
        succeeded = self._status is not None and not was_killed and os.waitstatus_to_exitcode(self._status) == 0
        if self._asked is not None:
            return 0 if succeeded else 128 + self._asked  # a service that stops cleanly on a signal has succeeded
        return 128 + os.WTERMSIG(self._status or 0) if was_killed else os.waitstatus_to_exitcode(self._status or 0)

    def _ask(self, number: int, _frame: object) -> None:
        self._asked = self._asked or number

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child, number)

    def _ends_by(self, until: float) -> bool:
        """Return whether the work ends by `until`; return early at the first signal to stop."""
        before = self._asked
        while self._status is None and self._asked == before:
            pid, status = os.waitpid(self._child, os.WNOHANG)
            if pid:
                self._status = status
                break
            left = until - time.monotonic()
            if left <= 0:
                break
            select.select([self._wake_from], [], [], left)
            with suppress(BlockingIOError):
                os.read(self._wake_from, 4096)
            self._read_groups()
        return self._status is not None

    def _read_groups(self) -> None:
        with suppress(BlockingIOError):
            while chunk := os.read(self._groups_from, 4096):
                self._named += chunk
        *lines, self._named = self._named.split(b"\n")
        self._groups |= {int(line) for line in lines}
