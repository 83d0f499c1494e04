"""Places of the state store for tests: a folder, or a schema of its own in one PostgreSQL server."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from quintet.embedded.postgres import EmbeddedPostgres
from quintet.state_place import StatePlace

SQLITE, POSTGRESQL = "sqlite", "postgresql"

IntegrityError = (sqlite3.IntegrityError, psycopg.IntegrityError)
"""What each database raises for a row that a constraint refuses."""

_NUMBERS = itertools.count(1)


@contextmanager
def state_server(folder: Path) -> Iterator[str]:
    """Start a PostgreSQL server in `folder`; yield its URL."""
    with EmbeddedPostgres(folder) as server:
        yield server.url


def own_schema(url: str, folder: Path) -> StatePlace:
    """Return a place in the database that no other test uses."""
    return StatePlace(folder, f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3Dtest_{next(_NUMBERS)}")
