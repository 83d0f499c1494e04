"""Fixtures that several integration tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.lending.replica import ROWS, TABLES, Replica, database, server


@pytest.fixture(scope="module")
def server_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a PostgreSQL that the module may use alone."""
    with server(request.config.getoption("--replica-server"), tmp_path_factory.mktemp("pg")) as url:
        yield url


@pytest.fixture
def replica(server_url: str, tmp_path: Path) -> Iterator[Replica]:
    """Yield the replica of a small loan book in a database of its own."""
    with database(server_url, *TABLES, *ROWS) as url:
        found = Replica(url, tmp_path)
        yield found
        found.applier.store.close()
