"""Fixtures for the tests of the abuse detector."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.promotions.warehouse_worlds import World, new_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Return a world without accounts."""
    with new_world(tmp_path) as world:
        yield world
