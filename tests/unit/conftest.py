"""Fixtures for the unit tests of several packages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from quintet.domains import open_state_store
from quintet.state.store import StateStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    """Yield a state store with the tables of every domain."""
    store = open_state_store(tmp_path / "online")
    yield store
    store.close()
