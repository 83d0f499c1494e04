"""Fixtures for the tests of the state store."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest


@pytest.fixture
def random_bytes() -> Callable[[int], bytes]:
    """Return bytes that differ between calls and are the same in every run."""
    numbers = itertools.count(1)
    return lambda size: next(numbers).to_bytes(size, "big")
