"""Where the figures of a report come from: the snapshot, and the files behind it."""

from __future__ import annotations

import datetime as dt

import duckdb

from quintet.presentation.wording import counted


def snapshot_of(connection: duckdb.DuckDBPyConnection) -> tuple[str, dt.datetime]:
    """Return the id and the time (UTC without zone) of the snapshot that a connection reads."""
    [(snapshot_id, published_at)] = connection.execute(
        "select snapshot_id, published_at from marts.snapshot"
    ).fetchall()
    return snapshot_id, published_at


def source_of(connection: duckdb.DuckDBPyConnection) -> str:
    """Return the files that the conversions of a snapshot come from, in words."""
    files = connection.execute(
        "select dataset, count(distinct file) from marts.ops_batches "
        "where dataset in ('conversions', 'broker_rows') and status = 'loaded' group by all order by all desc"
    ).fetchall()
    names = {"conversions": "conversions", "broker_rows": "broker rows"}
    return ", ".join(f"{counted(count, 'file')} of {names[name]}" for name, count in files) or "no files"
