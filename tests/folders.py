"""Folders for tests."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


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
