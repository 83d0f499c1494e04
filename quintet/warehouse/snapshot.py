"""Read published snapshots."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import duckdb

from quintet.warehouse.connect import connect_closed

CURRENT = "current.duckdb"


class NoSnapshotError(RuntimeError):
    """No snapshot was published yet."""


def current_snapshot(serving: Path) -> Path:
    """Return the path of the current snapshot, which changes with each publication. Raises NoSnapshotError."""
    path = (serving / CURRENT).resolve()
    if not path.exists():
        raise NoSnapshotError(f"there is no snapshot in {serving} yet; `make run` builds and publishes one")
    return path


def open_snapshot(path: Path, threads: int = 1, exports: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Return a read-only connection to a snapshot's file; use one cursor for each thread or request.

    exports: the folder to which it may copy rows.
    """
    return connect_closed(path, threads=threads, exports=exports)


def records(result: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return the rows of an executed query as dictionaries of plain values."""
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def identity(snapshot: duckdb.DuckDBPyConnection) -> tuple[str, dt.datetime]:
    """Return the id and the time of publication (UTC without zone) of the snapshot that a connection reads."""
    [(snapshot_id, published_at)] = snapshot.execute("select snapshot_id, published_at from marts.snapshot").fetchall()
    return str(snapshot_id), published_at
