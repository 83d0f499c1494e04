"""The state store: one SQLite file that the service and the stream write, with many readers and one writer at a time.

Each owner of tables declares the scripts that create and change them: the core here, each domain in its `domain.py`.
The first script of each owner creates only what is missing: stores of releases without owners have the tables already.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

FILE = "online.sqlite"

_BUSY_SECONDS = 10
_CACHE_KIB = 32_768  # the upper levels of an index over a million rows stay in memory

_CLOSED = ("readonly database", "unable to open database file", "permission denied")
_DAMAGED = ("not a database", "malformed", "disk I/O error", "file is encrypted")

CORE = "core"
"""The owner of the tables that every state store has."""

CORE_MIGRATIONS = (
    """
    create table if not exists keys (
        key_id text primary key,
        name text not null,
        secret_sha256 text not null unique,
        scopes text not null,
        created_at text not null,
        revoked_at text
    ) strict;
    create table if not exists sessions (
        session_sha256 text primary key,
        key_id text not null,
        created_at text not null,
        expires_at text not null
    ) strict;
    create table if not exists secrets (name text primary key, value blob not null) strict;
    """,
    """
    create table if not exists outbox (
        message_id integer primary key,
        key text not null,
        channel text not null,
        created_at text not null,
        body text not null,
        state text not null check (state in ('waiting', 'sent', 'given up')),
        attempts integer not null default 0,
        next_attempt_at text not null,
        sent_at text,
        error text,
        unique (key, channel)
    ) strict;
    create index if not exists outbox_by_channel on outbox (channel, state, message_id);
    """,
    """
    create table if not exists forgotten (
        kind text not null,
        person text not null,
        forgotten_at text not null,
        primary key (kind, person)
    ) strict, without rowid;
    """,
    """
    create table if not exists audit (
        entry_id integer primary key,
        recorded_at text not null,
        actor text not null,
        actor_id text not null,
        action text not null,
        subject text not null,
        outcome text not null,
        entry_sha256 text not null
    ) strict;
    create table if not exists audit_head (entries integer not null, entry_sha256 text not null) strict;
    insert into audit_head select 0, '' where not exists (select 1 from audit_head);
    create trigger if not exists audit_is_not_changed before update on audit
    begin select raise(abort, 'the audit log is append-only'); end;
    create trigger if not exists audit_is_not_cut before delete on audit
    begin select raise(abort, 'the audit log is append-only'); end;
    """,
)

_VERSIONS = "create table if not exists migrations (owner text primary key, applied integer not null) strict"


class StateError(RuntimeError):
    """The state store cannot be opened; the message says which file, why and what to do."""


class StateStore:
    """The state store in `folder`, created on first use. Each thread has its own connection; `close` closes them all.

    migrations: by owner, the scripts that create and change its tables, each applied once and in order. The default
    `file` also gets the scripts of `CORE`. The tables of an owner that is missing here stay as they are.
    synchronous: `normal` if the writer can rewrite what a power cut loses.
    """

    def __init__(
        self,
        folder: Path,
        file: str = FILE,
        migrations: Mapping[str, Sequence[str]] = MappingProxyType({}),
        synchronous: str = "full",
    ) -> None:
        self.path = folder / file
        self._migrations = {CORE: CORE_MIGRATIONS, **migrations} if file == FILE else dict(migrations)
        self._synchronous = synchronous
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._migrate()
        except (sqlite3.DatabaseError, OSError) as error:
            self.close()
            fault = _explained(self.path, error)
            if fault is None:
                raise
            raise fault from error

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

    def release(self) -> None:
        """Close this thread's connection, before the thread ends; the next use opens a new one."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            with self._lock:
                self._connections.remove(connection)
            del self._local.connection
            connection.close()

    def close(self) -> None:
        """Close every thread's connection; the store cannot be used afterwards."""
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("pragma journal_mode = wal")
        connection.execute(f"pragma synchronous = {self._synchronous}")  # recorded data survives a power cut
        connection.execute(f"pragma cache_size = -{_CACHE_KIB}")
        with self._lock:
            self._connections.append(connection)
        return connection

    def _migrate(self) -> None:
        if not self._missing(self.read()):
            return  # without the write lock, which another process may hold for long
        with self.write() as connection:
            connection.execute(_VERSIONS)
            for owner, scripts in self._missing(connection).items():
                for statement in _statements(";".join(scripts)):
                    connection.execute(statement)
                connection.execute(
                    "insert or replace into migrations values (?, ?)", (owner, len(self._migrations[owner]))
                )

    def _missing(self, connection: sqlite3.Connection) -> dict[str, Sequence[str]]:
        """Return the scripts still to apply, by owner."""
        has_any = connection.execute("select 1 from sqlite_schema where name = 'migrations'").fetchone()
        applied = dict(connection.execute("select owner, applied from migrations").fetchall()) if has_any else {}
        missing = {owner: scripts[applied.get(owner, 0) :] for owner, scripts in self._migrations.items()}
        return {owner: scripts for owner, scripts in missing.items() if scripts}


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; a trigger has semicolons in it."""
    statement = ""
    for part in script.split(";"):
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            if statement.strip("; \n"):
                yield statement
            statement = ""


def _explained(path: Path, error: Exception) -> StateError | None:
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
