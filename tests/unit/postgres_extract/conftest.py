"""The application's database, for the tests that extract its tables."""

from __future__ import annotations

import pytest


@pytest.fixture
def url(database_url: str) -> str:
    """The URL of an empty database."""
    return database_url
