"""The state store in one SQLite file, with many readers and one writer at a time."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from quintet.state.faults import StateError

_BUSY_SECONDS = 10
_CACHE_KIB = 32_768  # the upper levels of an index over a million rows stay in memory

_CLOSED = ("readonly database", "unable to open database file", "permission denied")
_DAMAGED = ("not a database", "malformed", "disk I/O error", "file is encrypted")


class SqliteDatabase:
    """The file at `path`. Each thread has its own connection; `close` closes them all.

    Those of threads that have ended are closed when another thread opens one: a service starts and ends threads as its
    load changes, and each connection holds files and a cache.

    synchronous: `normal` if the writer can rewrite what a power cut loses.
    """

    def __init__(self, path: Path, synchronous: str) -> None:
        self.path = path
        self._synchronous = synchronous
        self._local = threading.local()
        self._connections: dict[threading.Thread, sqlite3.Connection] = {}
        self._lock = threading.Lock()

    @property
    def place(self) -> str:
        """Return the path of the file."""
        return str(self.path)

    def read(self) -> sqlite3.Connection:
        """Return this thread's connection, for statements that only read; a writer never blocks it."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connect()
            self._local.connection = connection
        return connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction that holds the write lock from its start and rolls back if the body raises."""
        connection = self.read()
        connection.execute("begin immediate")
        try:
            yield connection
        except BaseException:
            connection.execute("rollback")
            raise
        connection.execute("commit")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction that reads one moment."""
        connection = self.read()
        connection.execute("begin")
        try:
            yield connection
        finally:
            connection.execute("commit")

    def stream(self, statement: str, values: Sequence[object] = ()) -> Iterator[sqlite3.Row]:
        """Yield the rows of a statement, of which only some are in memory."""
        yield from self.read().execute(statement, values)

    def has_table(self, name: str) -> bool:
        """Return whether there is a table of this name."""
        return self.read().execute("select 1 from sqlite_schema where name = ?", (name,)).fetchone() is not None

    def columns(self, table: str) -> list[str]:
        """Return the columns of a table in their order; none without the table."""
        return [row["name"] for row in self.read().execute("select name from pragma_table_info(?)", (table,))]

    def tables(self) -> list[str]:
        """Return the names of all tables."""
        found = "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' order by name"
        return [row["name"] for row in self.read().execute(found)]

    def rewrite(self, tables: Collection[str]) -> None:  # noqa: ARG002  # all of a file is rewritten
        """Rewrite the file so that neither free pages nor the log keep what was deleted."""
        self.read().execute("vacuum")
        self.read().execute("pragma wal_checkpoint(truncate)").fetchall()

    def release(self) -> None:
        """Close this thread's connection, before the thread ends; the next use opens a new one."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            with self._lock:
                del self._connections[threading.current_thread()]
            del self._local.connection
            connection.close()

    def close(self) -> None:
        """Close every thread's connection; the store cannot be used afterwards."""
        with self._lock:
            for connection in self._connections.values():
                connection.close()
            self._connections.clear()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("pragma journal_mode = wal")
        connection.execute(f"pragma synchronous = {self._synchronous}")  # recorded data survives a power cut
        connection.execute(f"pragma cache_size = -{_CACHE_KIB}")
        with self._lock:
            for thread in [thread for thread in self._connections if not thread.is_alive()]:
                self._connections.pop(thread).close()
            self._connections[threading.current_thread()] = connection
        return connection


def explained(path: Path, error: Exception) -> StateError | None:
    """Return why the file cannot be opened and what to do; None for a fault of the program."""
    text = str(error)
    if isinstance(error, OSError) or any(sign in text for sign in _CLOSED):
        return StateError(f"{path}: {text}. Grant write access to it and its folder, or set QUINTET_HOME elsewhere.")
    if any(sign in text for sign in _DAMAGED):
        return StateError(
            f"{path} is damaged ({text}). Restore it from a backup; or move it away to start with an empty one, "
            "without its keys, decisions and labels."
        )
    return None
