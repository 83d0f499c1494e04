"""End the processes and remove the temporary files of a benchmark, however it ends."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing.util
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from bench.measure import BenchError, family

_PR_SET_CHILD_SUBREAPER = 36
_SECONDS_TO_END = 10.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """A signal to end this process arrived."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def tidied() -> Iterator[Path]:
    """Yield a folder for all temporary files; afterwards end the processes started meanwhile and remove the folder.

    Child processes are found in the kernel's list, whichever process started them.
    """
    before, former, variable = set(family(os.getpid())), tempfile.tempdir, os.environ.get("TMPDIR")
    multiprocessing.util.get_temp_dir()  # its own folder, which it removes itself when the interpreter ends
    folder = Path(tempfile.mkdtemp(prefix="quintet-bench-"))
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    try:
        yield folder
    finally:
        gc.unfreeze()  # frozen objects of a load generator would be reported as leaks when the interpreter ends
        tempfile.tempdir = former
        if variable is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = variable
        _end(before)
        shutil.rmtree(folder)


@contextmanager
def signals_raised() -> Iterator[None]:
    """Raise `Stopped` in the main thread at the first signal to end, and ignore further signals during the cleanup.

    Orphans of a child become children of this process, so that they can be found and ended.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def stop(number: int, _: FrameType | None) -> None:
        for one in _SIGNALS:
            signal.signal(one, signal.SIG_IGN)
        raise Stopped(number)

    former = {one: signal.signal(one, stop) for one in _SIGNALS}
    try:
        yield
    finally:
        for one, handler in former.items():
            signal.signal(one, handler)


def _end(spared: set[int]) -> None:
    """Kill all descendants except the spared ones, and wait until they have ended."""
    until = time.monotonic() + _SECONDS_TO_END
    while left := [pid for pid in family(os.getpid()) if pid not in spared and not _has_ended(pid)]:
        if time.monotonic() > until:
            raise BenchError(f"processes do not end: {left}")
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)


def _has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] in "ZX"
    except OSError:
        return True
