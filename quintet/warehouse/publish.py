"""Publish the warehouse as an immutable snapshot for all readers."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from quintet.warehouse.database import PUBLISHED, PUBLISHED_SCHEMAS
from quintet.warehouse.domain_states import DomainBuild, DomainState, domain_states, write_states
from quintet.warehouse.losses import losses, tables_of
from quintet.warehouse.origin import record_publication
from quintet.warehouse.snapshot import CURRENT, NoSnapshotError, current_snapshot
from quintet.warehouse.sql import quote_identifier, quote_literal

_UNFINISHED = ".tmp"
_FORMER = "former"

_AFTER_A_LOSS = (
    "Its tables are those of the snapshot before. Put the files back into their inboxes and run again; if the loss is "
    "meant, publish it with `quintet run --accept-losses`"
)


class PublishError(RuntimeError):
    """The snapshot differs from the warehouse; the previous snapshot stays current."""


@dataclass(frozen=True)
class Published:
    """A finished snapshot: its file, the row count of each table, its size, and the state of each domain."""

    path: Path
    rows: Mapping[str, int]
    bytes: int
    states: Sequence[DomainState] = ()


def publish(
    connection: duckdb.DuckDBPyConnection,
    serving: Path,
    *,
    snapshot_id: str,
    fingerprint: str,
    published_at: dt.datetime,
    kept: int,
    tables: Collection[str] | None = None,
    domains: Sequence[DomainBuild] = (),
    accept_losses: bool = False,
) -> Published:
    """Copy the published file to `serving/<snapshot_id>.duckdb`, write the views into it, and make it current.

    All or nothing. connection: to the warehouse (`database.open_warehouse`), outside a transaction.

    The file is written under another name, verified table by table, synced and renamed; only then does
    `current.duckdb` point to it. A path is never used twice, because a process that has the old file open would get
    old data from it. A reader that has an older snapshot open keeps it, even when it is removed here.

    fingerprint: the code version that built it. published_at: UTC without zone. kept: the number of snapshots to keep.
    tables: the tables to publish, as `schema.table`, without leftovers of earlier releases. None: all.
    domains: the state of each domain's tables. The tables of a domain that is not complete, or that has lost tables,
    rows or files against the current snapshot (unless accept_losses), are copied from that snapshot, all of them, so
    that a domain's tables never contradict each other. They are left out where that snapshot has none.
    Raises PublishError if a table has another number of rows in the snapshot, FileExistsError if the id was used.
    """
    serving.mkdir(parents=True, exist_ok=True)
    path = serving / f"{snapshot_id}.duckdb"
    if path.exists():
        raise FileExistsError(f"{path} is already published; a snapshot is never overwritten")
    unfinished = path.with_name(path.name + _UNFINISHED)
    _remove_unfinished(serving)  # left by a publication that was killed
    try:
        with _former_snapshot(connection, serving) as has_former:
            states = [_state(connection, build, has_former, accept_losses) for build in domains]
            retained = {
                table
                for build, state in zip(domains, states, strict=True)
                if not state.is_current
                for table in build.tables
            }
            warehouse = record_publication(connection, snapshot_id)
            about = (snapshot_id, fingerprint, published_at, warehouse)
            rows = _write(connection, unfinished, about, tables, retained, has_former, states)
        _sync(unfinished)
        unfinished.rename(path)
    finally:
        _remove_unfinished(serving)
    point_current_to(path)
    remove_old(serving, kept)
    return Published(path=path, rows=rows, bytes=path.stat().st_size, states=states)


@contextmanager
def _former_snapshot(connection: duckdb.DuckDBPyConnection, serving: Path) -> Iterator[bool]:
    """Attach the current snapshot as `former`, and yield whether there is one."""
    try:
        path = current_snapshot(serving)
    except NoSnapshotError:
        yield False
        return
    connection.execute(f"attach {quote_literal(str(path))} as {_FORMER} (read_only)")
    try:
        yield True
    finally:
        connection.execute(f"detach {_FORMER}")


def _state(
    connection: duckdb.DuckDBPyConnection, build: DomainBuild, has_former: bool, accept_losses: bool
) -> DomainState:
    """Return the state of a domain in the new snapshot."""
    former = domain_states(connection, _FORMER).get(build.name) if has_former else None
    problem = build.problem
    if not problem and has_former and not accept_losses:
        lost = losses(connection, build, _FORMER)
        if lost:
            problem = f"{'; '.join(lost)}. {_AFTER_A_LOSS}"
    if not problem:
        is_there = not build.tables or bool(build.tables & tables_of(connection))
        return DomainState(build.name, "current" if is_there else "missing", build.built_at, "")
    if not has_former or (former is not None and former.status == "missing"):
        return DomainState(build.name, "missing", None, problem)
    built_at = former.built_at if former is not None else build.built_at
    return DomainState(build.name, "building" if build.is_building else "old", built_at, problem)


def _write(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    about: tuple[str, str, dt.datetime, str],
    tables: Collection[str] | None,
    retained: Collection[str],
    has_former: bool,
    states: Sequence[DomainState],
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
            (schema, name)
            for schema, name in _tables(connection)
            if (tables is None or f"{schema}.{name}" in tables) and f"{schema}.{name}" not in retained
        ]
        for schema, name, kind in _copied(connection):
            if (schema, name) not in wanted:
                connection.execute(f"drop {kind} snapshot.{schema}.{quote_identifier(name)}")
        for schema, view in _views(connection):
            if (schema, view) in wanted:
                name = f"{schema}.{quote_identifier(view)}"
                connection.execute(f"create table snapshot.{name} as select * from {name}")
        rows = {f"{schema}.{table}": _checked_rows(connection, schema, table) for schema, table in wanted}
        rows |= _copy_former(connection, retained) if has_former else {}
        write_states(connection, "snapshot", states)
        connection.execute(
            "create table snapshot.marts.snapshot as "
            "select ? as snapshot_id, ? as fingerprint, cast(? as timestamp) as published_at, ? as warehouse",
            about,
        )
        connection.execute("checkpoint snapshot")
    finally:
        connection.execute("detach snapshot")
    return rows


def _copy_former(connection: duckdb.DuckDBPyConnection, tables: Collection[str]) -> dict[str, int]:
    """Copy the tables that the former snapshot has, and return their numbers of rows."""
    found = connection.execute(
        "select table_schema, table_name from information_schema.tables where table_catalog = ? "
        "and list_contains(?, table_schema || '.' || table_name) order by all",
        [_FORMER, sorted(tables)],
    ).fetchall()
    rows = {}
    for schema, table in found:
        name = f"{schema}.{quote_identifier(table)}"
        connection.execute(f"create table snapshot.{name} as from {_FORMER}.{name}")
        ((rows[f"{schema}.{table}"],),) = connection.execute(f"select count(*) from snapshot.{name}").fetchall()
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


def point_current_to(path: Path) -> None:
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


def remove_old(serving: Path, kept: int) -> None:
    """Remove all but the last `kept` snapshots; the current one stays."""
    current = (serving / CURRENT).resolve()
    snapshots = sorted(
        (path for path in serving.glob("*.duckdb") if not path.is_symlink()), key=lambda path: path.stat().st_mtime_ns
    )
    for path in snapshots[: max(len(snapshots) - kept, 0)]:
        if path != current:
            path.unlink()
