"""Marks of the runs that are being executed: locked files, which the system unlocks when the process ends.

A run is dead if its status is started and no process holds its mark, however its process ended.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

STARTED_BY = {"quintet/started_by": "command line"}
"""The tag of the runs that `quintet run` executes itself."""

_UNFINISHED = "unfinished"

_held: dict[Path, int] = {}


def marks_folder(dagster_home: Path) -> Path:
    """Return the folder of the marks of an instance."""
    return dagster_home / "running"


def note_unfinished(dagster_home: Path) -> None:
    """Note that a run may leave assets unbuilt, until `clear_unfinished`."""
    (dagster_home / _UNFINISHED).touch()


def clear_unfinished(dagster_home: Path) -> None:
    """Note that no run has left assets unbuilt."""
    (dagster_home / _UNFINISHED).unlink(missing_ok=True)


def is_unfinished(dagster_home: Path) -> bool:
    """Return whether a run failed, was canceled, or died, and may have left assets unbuilt."""
    return (dagster_home / _UNFINISHED).exists() or has_dead_marks(marks_folder(dagster_home))


def hold_mark(folder: Path, run_id: str) -> None:
    """Mark the run as executed by this process until `release_mark` or the end of the process."""
    path = folder / run_id
    if path in _held:
        return
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_at(descriptor, path):
            break
        os.close(descriptor)  # another process considered the mark dead and removed it
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    _held[path] = descriptor


def release_mark(folder: Path, run_id: str) -> None:
    """Remove the mark if this process holds it; otherwise do nothing."""
    descriptor = _held.pop(folder / run_id, None)
    if descriptor is not None:
        (folder / run_id).unlink(missing_ok=True)
        os.close(descriptor)


def living(folder: Path) -> dict[str, int]:
    """Return the process id of each run whose process is alive, and remove the marks of dead processes."""
    found = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        process = _holder(path)
        if process is not None:
            found[path.name] = process
    return found


def has_dead_marks(folder: Path) -> bool:
    """Return whether there is a mark of a dead process; do not remove it."""
    return any(_holder(path, keep=True) is None for path in (folder.iterdir() if folder.is_dir() else ()))


def _holder(path: Path, keep: bool = False) -> int | None:
    """Return the process that holds a mark; if there is none, remove the mark unless `keep`, and return None."""
    if path in _held:
        return os.getpid()
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.read(descriptor, 32) or b"0")
    else:
        if not keep:
            path.unlink(missing_ok=True)  # under its lock, so that no process marks a run with it meanwhile
        return None
    finally:
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
