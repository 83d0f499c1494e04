"""Fixtures for the unit tests of several packages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from quintet.domains import open_state_store
from quintet.state.store import StateStore
from quintet.state_place import StatePlace
from tests.state_places import POSTGRESQL, SQLITE, own_schema, state_server


@pytest.fixture(scope="session")
def state_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a PostgreSQL server for the state stores of this worker."""
    with state_server(tmp_path_factory.mktemp("state-server")) as url:
        yield url


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> StatePlace:
    """Return an empty place of each kind."""
    folder = tmp_path / "online"
    if request.param == SQLITE:
        return StatePlace(folder)
    return own_schema(request.getfixturevalue("state_url"), folder)


@pytest.fixture
def store(place: StatePlace) -> Iterator[StateStore]:
    """Yield a state store of each kind, with the tables of every domain."""
    store = open_state_store(place)
    yield store
    store.close()


@pytest.fixture
def file_store(tmp_path: Path) -> Iterator[StateStore]:
    """Yield a state store in an SQLite file, with the tables of every domain."""
    store = open_state_store(tmp_path / "online")
    yield store
    store.close()
