"""Restore an untrusted dump on a temporary server, as a role without rights.

Functions, triggers, casts and views of the dump run as that role only, also while its tables are read. The role cannot
start programs or read files, and there is no other database. Time and size are limited, and the server is removed
afterwards.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from quintet.embedded.postgres import EmbeddedPostgres, stop_left_behind
from quintet.lending.contract import TABLES
from quintet.lending.dump import DumpError, open_dump, statements

_NAME = "quintet_dump"
_SETTINGS = {
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_wal_size": "256MB",
    "log_min_messages": "fatal",
}
"""Settings of a temporary server, whose data need not survive a crash."""
_WATCH_SECONDS = 0.25
_PROGRESS_SECONDS = 5.0
_OPENING = re.compile(
    rb"""\s*(?:copy|insert\s+into|alter\s+table|create\s+(?:unlogged\s+)?table(?:\s+if\s+not\s+exists)?)
    \s+(?:only\s+)?(?:public\.)?"?(?P<table>\w+)"?""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True)
class Limits:
    """Limits of a restore: seconds from its start, and bytes of its database on disk."""

    seconds: float
    bytes: int


@dataclass
class Sandbox:
    """A restored dump. url: its database as the role without rights. refused: statements that PostgreSQL refused."""

    url: str
    refused: list[str] = field(default_factory=list)


@contextmanager
def restored(dump: Path, folder: Path, limits: Limits, report: Callable[[str], None]) -> Iterator[Sandbox]:
    """Restore a dump on a server that lasts as long as the body.

    folder: for the server; removed afterwards, and emptied first if a killed restore left it. report: called with the
    progress every few seconds. Statements that do not concern the tables of lending may fail; the result lists them.
    Raises DumpError if the dump is damaged, a statement about those tables fails, or a limit is reached.
    """
    server = EmbeddedPostgres(folder, _SETTINGS)
    try:
        remove_left_restore(folder)
        with server, psycopg.connect(server.url, autocommit=True) as admin:
            sandbox = Sandbox(_make(admin, server.url, limits))
            with _watched(server, limits) as broken_limit:
                try:
                    _run(dump, sandbox, broken_limit, report)
                    yield sandbox
                except psycopg.OperationalError as error:
                    is_too_large = isinstance(error, psycopg.errors.ConfigurationLimitExceeded)
                    raise DumpError(
                        broken_limit() or (_too_large(limits) if is_too_large else first_line(error))
                    ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_left_restore(folder: Path) -> None:
    """Stop the server and remove the folder of a restore that was killed."""
    if folder.exists():
        stop_left_behind(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _make(admin: psycopg.Connection, admin_url: str, limits: Limits) -> str:
    """Create role and database, and return the database's URL as the role."""
    name, password = sql.Identifier(_NAME), secrets.token_hex(16)
    admin.execute(
        sql.SQL(
            "create role {} login nosuperuser nocreatedb nocreaterole noreplication nobypassrls connection limit 2 "
            "password {}"
        ).format(name, sql.Literal(password))
    )
    kilobytes = min(limits.bytes >> 10, 2**31 - 1)
    admin.execute(sql.SQL("alter role {} set temp_file_limit = {}").format(name, sql.Literal(f"{kilobytes}kB")))
    admin.execute(sql.SQL("create database {} owner {} template template0").format(name, name))
    return make_conninfo(admin_url, dbname=_NAME, user=_NAME, password=password)


def _run(dump: Path, sandbox: Sandbox, broken_limit: Callable[[], str | None], report: Callable[[str], None]) -> None:
    progress = _Progress(dump, broken_limit, report)
    with (
        psycopg.connect(sandbox.url, autocommit=True) as connection,
        connection.cursor() as cursor,
        open_dump(dump, progress.read) as pieces,
    ):
        for statement in statements(pieces):
            try:
                if statement.data is None:
                    cursor.execute(statement.sql)
                else:
                    with cursor.copy(statement.sql) as copy:
                        for data in statement.data:
                            copy.write(data)
            except psycopg.OperationalError:
                raise
            except psycopg.Error as error:
                table = _table_of(statement.sql)
                if table is not None and not isinstance(error, psycopg.errors.UndefinedObject):
                    raise DumpError(f"table {table}: {first_line(error)}. Restore it by hand to see more.") from None
                words = " ".join(statement.sql.decode(errors="replace").split())[:60]
                sandbox.refused.append(f"{words}: {first_line(error)}")


def _table_of(statement: bytes) -> str | None:
    """Return the table of lending that a statement creates, changes or fills; None if it is about something else."""
    found = _OPENING.match(statement)
    table = found["table"].decode(errors="replace").lower() if found else None
    return table if table in TABLES else None


def first_line(error: psycopg.Error) -> str:
    """Return the first line of PostgreSQL's message."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _size(folder: Path) -> int:
    """Return the bytes of all files below a folder: tables, temporary files and logs."""
    sizes = []
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # one that was removed meanwhile
                sizes.append((Path(place) / name).lstat().st_size)
    return sum(sizes)


def _too_large(limits: Limits) -> str:
    return (
        f"the dump takes more than {limits.bytes / 1e6:,.0f} MB when restored. Allow more with "
        "QUINTET_LOAN_BOOK_BYTES, or dump the tables user, loan and payment alone."
    )


class _Progress:
    """Reports how much of the file is read, at most every few seconds, and stops the restore at a limit."""

    def __init__(self, dump: Path, broken_limit: Callable[[], str | None], report: Callable[[str], None]) -> None:
        self._broken_limit = broken_limit
        self._name, self._bytes, self._report = dump.name, max(dump.stat().st_size, 1), report
        self._next = time.monotonic() + _PROGRESS_SECONDS

    def read(self, count: int) -> None:
        if reason := self._broken_limit():  # a long read sends nothing to the server, so its end goes unnoticed
            raise DumpError(reason)
        if time.monotonic() >= self._next:
            self._report(f"{self._name}: {count / self._bytes:.0%} of {self._bytes / 1e6:,.0f} MB restored")
            self._next = time.monotonic() + _PROGRESS_SECONDS


@contextmanager
def _watched(server: EmbeddedPostgres, limits: Limits) -> Iterator[Callable[[], str | None]]:
    """End the role's connections at a limit; yield a function that returns the reached limit as text, or None."""
    ends, reasons = threading.Event(), list[str]()
    until, empty = time.monotonic() + limits.seconds, _size(server.folder)

    def watch() -> None:
        with psycopg.connect(server.url, autocommit=True) as connection:
            while not ends.wait(_WATCH_SECONDS):
                if _size(server.folder) - empty > limits.bytes:
                    reasons.append(_too_large(limits))
                elif time.monotonic() > until:
                    reasons.append(
                        f"the dump was not restored within {limits.seconds:,.0f} s. Allow more with "
                        "QUINTET_LOAN_BOOK_SECONDS, or dump the tables user, loan and payment alone."
                    )
                else:
                    continue
                connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", (_NAME,)
                )

    watcher = threading.Thread(target=watch, name="limits of a restore", daemon=True)
    watcher.start()
    try:
        yield lambda: reasons[0] if reasons else None
    finally:
        ends.set()
        watcher.join()
