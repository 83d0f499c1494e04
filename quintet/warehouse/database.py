"""Open and close the DuckDB warehouse.

The warehouse is two files under one lock: the named one, and the one that is published (`published_file`), which has
only the tables of `PUBLISHED_SCHEMAS`, so that publishing means copying a file. A statement finds
`marts.fct_conversions` in whichever file it is.

DuckDB locks the file: one process at a time may open it, to write or to read. A second process waits here; readers
open the published snapshot instead (`snapshot.py`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from quintet.warehouse.connect import connect_to_files
from quintet.warehouse.sql import quote_identifier, quote_literal

SCHEMAS = ("raw", "ops", "staging", "intermediate", "marts")
"""The schemas of the warehouse's own file; its `marts` has the views, which publishing turns into tables."""

PUBLISHED = "published"
"""The catalog name of the published file."""

PUBLISHED_SCHEMAS = ("marts", "ml")

STORAGE_VERSION = "v1.4.0"
"""The storage version of the published file: older than DuckDB here, so that older clients can open a snapshot."""


def published_file(warehouse: Path) -> Path:
    """Return the file beside the warehouse that holds the published tables."""
    return warehouse.with_name(f"{warehouse.name}.{PUBLISHED}")


class WarehouseBusyError(RuntimeError):
    """Another process held the warehouse for longer than the wait limit."""


@contextmanager
def open_warehouse(
    path: Path,
    *,
    memory_limit: str,
    threads: int,
    lock_wait_seconds: float,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a writing connection to the warehouse at `path`, and close it also when the body raises.

    Raises WarehouseBusyError if another process holds the file for longer than `lock_wait_seconds`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = _connect(path, {"memory_limit": memory_limit, "threads": threads}, lock_wait_seconds, sleep)
    try:
        connection.execute("create schema if not exists marts")
        _attach_published(connection, published_file(path))
        yield connection
    finally:
        connection.close()


def _attach_published(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Attach the published file, and set the search path to find `schema.table` in either file, tables before views."""
    (own,) = connection.execute("select current_database()").fetchone() or ("",)
    connection.execute(
        f"attach {quote_literal(str(file))} as {PUBLISHED} (storage_version {quote_literal(STORAGE_VERSION)})"
    )
    for schema in PUBLISHED_SCHEMAS:
        connection.execute(f"create schema if not exists {PUBLISHED}.{schema}")
    names = [f"{PUBLISHED}.{schema}" for schema in PUBLISHED_SCHEMAS]
    path = [f"{quote_identifier(own)}.main", *names, f"{quote_identifier(own)}.marts"]
    connection.execute(f"set search_path = {quote_literal(','.join(path))}")


def _connect(
    path: Path,
    config: dict[str, str | int],
    lock_wait_seconds: float,
    sleep: Callable[[float], None],
) -> duckdb.DuckDBPyConnection:
    waited_seconds, pause_seconds = 0.0, 0.05
    while True:
        try:
            connection = connect_to_files(path, **config)
        except duckdb.IOException as error:
            if "Could not set lock" not in str(error):
                raise
            if waited_seconds >= lock_wait_seconds:
                holder = re.search(r"\(PID (\d+)\)", str(error))
                who = f"process {holder[1]}" if holder else "another process"
                raise WarehouseBusyError(
                    f"{path} is in use by {who}, for {waited_seconds:.0f} s or longer. Wait until it has ended, or "
                    "close the program that has the file open; notebooks read serving/current.duckdb instead."
                ) from error
            sleep(pause_seconds)
            waited_seconds += pause_seconds
            pause_seconds = min(pause_seconds * 1.5, 1.0)
        else:
            connection.execute("set enable_progress_bar = false")  # runs report each step; a bar would garble logs
            return connection


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Run the body in a transaction: commit at its end, roll back if it raises."""
    connection.execute("begin transaction")
    try:
        yield
    except BaseException:
        connection.execute("rollback")
        raise
    connection.execute("commit")
