"""A PostgreSQL for the tests of the source, started once, with a database of its own for each test."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from quintet.embedded.postgres import EmbeddedPostgres

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedPostgres]:
    folder = Path(
        tempfile.mkdtemp(prefix="quintet-test-")
    )  # pytest's own folders are closed to accounts without rights
    folder.chmod(0o711)
    with EmbeddedPostgres(folder / "postgres", {"fsync": "off"}) as postgres:
        yield postgres
    shutil.rmtree(folder)


@pytest.fixture
def url(server: EmbeddedPostgres) -> str:
    """The URL of an empty database."""
    name = f"test{next(_NUMBERS)}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"create database {name}")  # type: ignore[arg-type]
    return f"{server.url.rsplit('/', 1)[0]}/{name}"
