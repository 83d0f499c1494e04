"""Folders for tests."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")
_LEAST_FREE_BYTES = 6_000_000_000
"""The suite's folders take up to 4 GB."""


def memory_folder(
    folder: Path = _MEMORY, meminfo: Path = Path("/proc/meminfo"), least_free: int = _LEAST_FREE_BYTES
) -> Path | None:
    """Return a folder in memory for the suite; None if there is none, or not enough memory for it and the tests."""
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return None
    disk = os.statvfs(folder)
    available = re.search(r"^MemAvailable: +(\d+) kB$", meminfo.read_text("utf-8"), re.MULTILINE)
    is_large = disk.f_bavail * disk.f_frsize >= least_free
    is_free = available is not None and int(available[1]) * 1024 >= 2 * least_free
    return folder if is_large and is_free and not disk.f_flag & os.ST_NOEXEC else None


@contextmanager
def open_folder() -> Iterator[Path]:
    """Yield an empty folder that unprivileged accounts can reach; pytest's own folders are closed to them."""
    folder = Path(tempfile.mkdtemp(prefix="quintet-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """Return the folder that all processes of a suite share."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Hold the lock of what is at `path`, which one process makes for all; yield whether it is made already.

    It counts as made once a body has ended without an error.
    """
    made = path.with_name(f"{path.name}.made")
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield made.exists()
        made.touch()
