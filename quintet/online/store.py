"""The SQLite file of what the service and the stream write: one file, many readers, one writer at a time.

Belongs here: opening the file, its schema and how the schema moves on. What is written stands in a module for each
subject (`keys.py`, `sessions.py`, `report_runs.py`).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

FILE = "online.sqlite"

_BUSY_SECONDS = 10
_CACHE_KIB = 32_768  # the upper levels of a million rows' tree stay in memory

_MIGRATIONS = (
    """
    create table keys (
        key_id text primary key,
        name text not null,
        secret_sha256 text not null unique,
        scopes text not null,
        created_at text not null,
        revoked_at text
    ) strict;
    create table sessions (
        session_sha256 text primary key,
        key_id text not null,
        created_at text not null,
        expires_at text not null
    ) strict;
    create table secrets (name text primary key, value blob not null) strict;
    create table report_runs (
        run_id integer primary key,
        report text not null,
        written_at text not null,
        written_by text not null,
        parameters text not null,
        format text not null,
        rows integer not null,
        total_written_premium text not null,
        snapshot text not null
    ) strict;
    """,
)
"""Applied in order, each once; `pragma user_version` says how many are."""


class Store:
    """The store in `folder`, made on first use. Every thread has a connection of its own; `close` ends them all.

    file, migrations: of a store beside the usual one. synchronous: `normal` where what a power cut takes comes again.
    """

    def __init__(
        self, folder: Path, file: str = FILE, migrations: Sequence[str] | None = None, synchronous: str = "full"
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / file
        self._migrations = _MIGRATIONS if migrations is None else migrations
        self._synchronous = synchronous
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._migrate()

    def read(self) -> sqlite3.Connection:
        """This thread's connection, for statements that only read; a writer never keeps it waiting."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connect()
            self._local.connection = connection
        return connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the writer's place from its start: all of the body or nothing of it."""
        connection = self.read()
        connection.execute("begin immediate")
        try:
            yield connection
        except BaseException:
            connection.execute("rollback")
            raise
        connection.execute("commit")

    def close(self) -> None:
        """Close every thread's connection; the store is of no use afterwards."""
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("pragma journal_mode = wal")
        connection.execute(
            f"pragma synchronous = {self._synchronous}"
        )  # what was answered as recorded survives a power cut
        connection.execute(f"pragma cache_size = -{_CACHE_KIB}")
        with self._lock:
            self._connections.append(connection)
        return connection

    def _migrate(self) -> None:
        (done,) = self.read().execute("pragma user_version").fetchone()
        if done >= len(self._migrations):
            return  # without the writer's place, which another process may hold for long
        with self.write() as connection:
            (done,) = connection.execute("pragma user_version").fetchone()
            for script in self._migrations[done:]:
                for statement in filter(str.strip, script.split(";")):
                    connection.execute(statement)
            connection.execute(f"pragma user_version = {len(self._migrations)}")
