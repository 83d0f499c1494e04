"""Publish the warehouse as an immutable snapshot for all readers."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from quintet.warehouse.database import PUBLISHED, PUBLISHED_SCHEMAS
from quintet.warehouse.snapshot import CURRENT
from quintet.warehouse.sql import quote_identifier, quote_literal

_UNFINISHED = ".tmp"


class PublishError(RuntimeError):
    """The snapshot differs from the warehouse; the previous snapshot stays current."""


@dataclass(frozen=True)
class Published:
    """A finished snapshot: its file, the row count of each table, and its size."""

    path: Path
    rows: Mapping[str, int]
    bytes: int


def publish(
    connection: duckdb.DuckDBPyConnection,
    serving: Path,
    *,
    snapshot_id: str,
    fingerprint: str,
    published_at: dt.datetime,
    kept: int,
    tables: Collection[str] | None = None,
) -> Published:
    """Copy the published file to `serving/<snapshot_id>.duckdb`, write the views into it, and make it current.

    All or nothing. connection: to the warehouse (`database.open_warehouse`), outside a transaction.

    The file is written under another name, verified table by table, synced and renamed; only then does
    `current.duckdb` point to it. A path is never used twice, because a process that has the old file open would get
    old data from it. A reader that has an older snapshot open keeps it, even when it is removed here.

    fingerprint: the code version that built it. published_at: UTC without zone. kept: the number of snapshots to keep.
    tables: the tables to publish, as `schema.table`, without leftovers of earlier releases. None: all.
    Raises PublishError if a table has another number of rows in the snapshot, FileExistsError if the id was used.
    """
    serving.mkdir(parents=True, exist_ok=True)
    path = serving / f"{snapshot_id}.duckdb"
    if path.exists():
        raise FileExistsError(f"{path} is already published; a snapshot is never overwritten")
    unfinished = path.with_name(path.name + _UNFINISHED)
    _remove_unfinished(serving)  # left by a publication that was killed
    try:
        rows = _write(connection, unfinished, snapshot_id, fingerprint, published_at, tables)
        _sync(unfinished)
        unfinished.rename(path)
    finally:
        _remove_unfinished(serving)
    _point_current_to(path)
    _remove_old(serving, kept)
    return Published(path=path, rows=rows, bytes=path.stat().st_size)


def _write(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    snapshot_id: str,
    fingerprint: str,
    published_at: dt.datetime,
    tables: Collection[str] | None,
) -> dict[str, int]:
    (source,) = connection.execute(
        "select path from duckdb_databases() where database_name = ?", [PUBLISHED]
    ).fetchone() or ("",)
    connection.execute(f"checkpoint {PUBLISHED}")  # or the copy would lack what is only in the write-ahead log
    # Closing the copied file releases this process's lock on it (POSIX locks belong to the process). The lock on the
    # warehouse's own file, which every writer takes first, still keeps others out.
    shutil.copyfile(source, path)
    connection.execute(f"attach {quote_literal(str(path))} as snapshot")
    try:
        wanted = [
            (schema, name) for schema, name in _tables(connection) if tables is None or f"{schema}.{name}" in tables
        ]
        for schema, name, kind in _copied(connection):
            if (schema, name) not in wanted:
                connection.execute(f"drop {kind} snapshot.{schema}.{quote_identifier(name)}")
        for schema, view in _views(connection):
            if (schema, view) in wanted:
                name = f"{schema}.{quote_identifier(view)}"
                connection.execute(f"create table snapshot.{name} as select * from {name}")
        rows = {f"{schema}.{table}": _checked_rows(connection, schema, table) for schema, table in wanted}
        connection.execute(
            "create table snapshot.marts.snapshot as "
            "select ? as snapshot_id, ? as fingerprint, cast(? as timestamp) as published_at",
            [snapshot_id, fingerprint, published_at],
        )
        connection.execute("checkpoint snapshot")
    finally:
        connection.execute("detach snapshot")
    return rows


def _tables(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Return schema and name of all tables and views of the published file, and of the warehouse's own views."""
    return connection.execute(
        "select table_schema, table_name from information_schema.tables "
        "where table_catalog in (?, current_database()) and list_contains(?, table_schema) order by all",
        [PUBLISHED, list(PUBLISHED_SCHEMAS)],
    ).fetchall()


def _copied(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str]]:
    """Return schema, name and kind (`view` or `table`) of everything in the published file, views first."""
    return connection.execute(
        "select table_schema, table_name, case table_type when 'VIEW' then 'view' else 'table' end as kind "
        "from information_schema.tables where table_catalog = ? order by kind desc, table_schema, table_name",
        [PUBLISHED],
    ).fetchall()


def _views(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Return schema and name of the warehouse's own views, which become tables of the snapshot."""
    return connection.execute(
        "select schema_name, view_name from duckdb_views() "
        "where database_name = current_database() and list_contains(?, schema_name) order by all",
        [list(PUBLISHED_SCHEMAS)],
    ).fetchall()


def _checked_rows(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> int:
    name = f"{schema}.{quote_identifier(table)}"
    counted = connection.execute(
        f"select (select count(*) from {name}), (select count(*) from snapshot.{name})"
    ).fetchone()
    expected, written = counted or (0, -1)
    if expected != written:
        raise PublishError(f"{name} has {expected:,} rows in the warehouse but {written:,} in the snapshot")
    return written


def _sync(path: Path) -> None:
    for target in (path, path.parent):
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _point_current_to(path: Path) -> None:
    """Replace the symlink atomically; readers see the old or the new snapshot, never none."""
    link = path.with_name(CURRENT)
    beside = path.with_name(f"{CURRENT}{_UNFINISHED}")
    beside.symlink_to(path.name)
    beside.replace(link)
    _sync(path)


def _remove_unfinished(serving: Path) -> None:
    """Remove unfinished snapshots with their logs and links; only the holder of the warehouse publishes."""
    for path in serving.glob(f"*.duckdb{_UNFINISHED}*"):
        path.unlink()


def _remove_old(serving: Path, kept: int) -> None:
    current = (serving / CURRENT).resolve()
    snapshots = sorted(
        (path for path in serving.glob("*.duckdb") if not path.is_symlink()), key=lambda path: path.stat().st_mtime_ns
    )
    for path in snapshots[: max(len(snapshots) - kept, 0)]:
        if path != current:
            path.unlink()
