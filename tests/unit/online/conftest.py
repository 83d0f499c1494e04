"""What the tests of the online store share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from quintet.online.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "online")
    yield store
    store.close()


@pytest.fixture
def random_bytes() -> Callable[[int], bytes]:
    """Bytes that differ from call to call, and are the same in every run."""
    numbers = itertools.count(1)
    return lambda size: next(numbers).to_bytes(size, "big")
