"""A folder that unprivileged accounts can reach (pytest's own folders are closed to them)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def open_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="quintet-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)
