"""Fixtures: a folder that unprivileged accounts can reach (pytest's own are closed to them), and `initdb` itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import folders, prepared_cluster


@pytest.fixture
def open_folder() -> Iterator[Path]:
    with folders.open_folder() as folder:
        yield folder


@pytest.fixture(scope="module", autouse=True)
def _initdb() -> Iterator[None]:
    """Create clusters as the product does."""
    folder = Path(os.environ[prepared_cluster.FOLDER])
    prepared_cluster.stop_using()
    yield
    prepared_cluster.use(folder)
