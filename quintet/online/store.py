"""The SQLite file of what the service and the stream write: one file, many readers, one writer at a time.

Belongs here: opening the file, its schema and how the schema moves on. What is written stands in a module for each
subject (`keys.py`, `sessions.py`, `report_runs.py`, `abuse_records.py`, `payment_alerts.py`, `outbox.py`).
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
    """
    create table abuse_judgements (
        judgement_id integer primary key,
        user_id text not null,
        judged_at text not null,
        judged_by text not null,
        sign_up text not null,
        usages text not null,
        score real not null,
        decision text not null,
        reasons text not null,
        cluster_id text,
        cluster_size integer not null,
        model_version text not null
    ) strict;
    create index abuse_judgements_by_user on abuse_judgements (user_id);
    create table abuse_labels (
        label_id integer primary key,
        user_id text not null,
        is_abuser integer not null,
        labelled_at text not null,
        labelled_by text not null,
        note text
    ) strict;
    create index abuse_labels_by_user on abuse_labels (user_id);
    """,
    """
    create table payment_checkpoint (
        one integer primary key check (one = 1),
        input_id integer not null,
        state text not null
    ) strict;
    create table payment_inputs (input_id integer primary key, minute integer not null, counts text) strict;
    create table payment_transactions (
        transaction_id text not null,
        status text not null,
        minute integer not null,
        primary key (transaction_id, status)
    ) strict, without rowid;
    create index payment_transactions_by_minute on payment_transactions (minute);
    create table payment_points (
        minute integer not null,
        series text not null,
        score real not null,
        expected real not null,
        observed integer not null,
        window_minutes integer not null,
        minute_count integer not null,
        lower real not null,
        upper real not null,
        exposure integer not null,
        rule text not null,
        is_anomalous integer not null,
        is_sustained integer not null,
        is_elevated integer not null,
        is_bad integer not null,
        started_minute integer not null,
        primary key (minute, series)
    ) strict, without rowid;
    create table payment_incidents (
        incident_id text primary key,
        source text not null check (source in ('live', 'batch')),
        series text not null,
        state text not null,
        started_minute integer not null,
        detected_minute integer not null,
        last_bad_minute integer not null,
        quiet_minutes integer not null,
        severity text not null,
        peak_score real not null,
        expected real not null,
        observed integer not null,
        window_minutes integer not null,
        rule text not null,
        group_id text not null,
        ended_minute integer,
        first_seen_at text not null,
        acknowledged_at text,
        acknowledged_by text,
        told_at text,
        told_state text,
        told_times integer not null default 0,
        is_settled integer not null default 0
    ) strict, without rowid;
    create index payment_incidents_by_start on payment_incidents (started_minute);
    create table payment_silences (
        silence_id integer primary key,
        series text,
        starts_at text not null,
        expires_at text not null,
        created_by text not null,
        comment text not null
    ) strict;
    create table outbox (
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
    create index outbox_by_channel on outbox (channel, state, message_id);
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

    def release(self) -> None:
        """Close this thread's connection, as a thread that ends before the store has to; another use opens another."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            with self._lock:
                self._connections.remove(connection)
            del self._local.connection
            connection.close()

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
