"""Folders for tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def open_folder() -> Iterator[Path]:
    """Yield an empty folder that unprivileged accounts can reach; pytest's own folders are closed to them."""
    folder = Path(tempfile.mkdtemp(prefix="quintet-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
