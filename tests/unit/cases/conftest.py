"""The state store of these tests is a file: what a database does otherwise is tested with the store itself."""

from __future__ import annotations

import pytest

from quintet.state.store import StateStore


@pytest.fixture
def store(file_store: StateStore) -> StateStore:
    """Return an empty state store, with the tables of every domain."""
    return file_store
