"""Open DuckDB: the one place, so that no connection reaches files, hosts or extensions that it does not need.

What reads text from outside could otherwise be made to read or write any file of the account.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from quintet.warehouse.sql import quote_literal

_OPENING = threading.Lock()
_NO_EXTENSIONS = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}


def connect_closed(
    path: Path | None = None, *, exports: Path | None = None, **options: str | int
) -> duckdb.DuckDBPyConnection:
    """Return a connection in UTC that opens no other file: to memory, or to the file at `path` for reading.

    Frames are registered, not found by their variables' names. exports: a folder that it may write to.
    options: of DuckDB, such as threads; locked afterwards.
    """
    config: dict[str, Any] = {**_NO_EXTENSIONS, **options}
    with _OPENING:  # connections to one file share its configuration: the first of two threads locks it
        return _closed(path, exports, config)


def _closed(path: Path | None, exports: Path | None, config: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(path) if path else ":memory:", read_only=path is not None, config=config)
    if connection.execute("select current_setting('lock_configuration')").fetchall() == [(True,)]:
        return connection  # this process has the file open already, and DuckDB shares what opened it
    connection.execute("set global TimeZone = 'UTC'")  # global, because a cursor does not inherit a session's setting
    if exports is not None:
        connection.execute(f"set global allowed_directories = [{quote_literal(str(exports.resolve()))}]")
    _close_files(connection)
    return connection


def _close_files(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("set global enable_external_access = false")
    connection.execute("set global lock_configuration = true")


def connect_to_part(
    path: Path, catalog: str, fill: Callable[[duckdb.DuckDBPyConnection], None]
) -> duckdb.DuckDBPyConnection:
    """Return a connection to memory, of one thread, with nothing but the tables that `fill` creates from a file.

    fill: gets the connection with the file at `path` attached as `catalog`. The file is detached and all files are
    closed after it, so that no query can reach more than the tables.
    """
    connection = connect_to_files(threads=1)
    try:
        connection.execute(f"attach {quote_literal(str(path))} as {catalog} (read_only)")
        fill(connection)
        connection.execute(f"detach {catalog}")
        _close_files(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_files(path: Path | None = None, **options: str | int) -> duckdb.DuckDBPyConnection:
    """Return a connection in UTC that may read and write files: to memory, or to the file at `path`.

    For runs, which load inbox files and publish.
    """
    connection = duckdb.connect(str(path) if path else ":memory:", config={**_NO_EXTENSIONS, **options})
    connection.execute("set global TimeZone = 'UTC'")
    return connection
