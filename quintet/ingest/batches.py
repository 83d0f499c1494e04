"""The bookkeeping of loaded batches."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from quintet.ingest.examine import Examined
from quintet.ingest.inbox import InboxFile


@dataclass(frozen=True)
class Outcome:
    """The outcome of loading a file.

    status: `loaded`, `rejected`, `known` (the same content was loaded before, or is in the inbox under another name)
        or `changed` (it was written to while it was read; the next run loads it).
    rows = loaded + rejected; all zero unless loaded now.
    mapping: what a person had mapped to read it, as `Used.to_json` writes it; of a rejected file, what was taken back.
    """

    dataset: str
    file: str
    batch_id: str
    status: str
    message: str | None
    rows: int = 0
    loaded: int = 0
    rejected: int = 0
    mapping: str | None = None


def loaded_batches(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Return (dataset, batch) of every batch in the raw tables, in order."""
    return connection.execute(
        "select dataset, batch_id from ops.batches where status = 'loaded' order by all"
    ).fetchall()


def batch_versions(connection: duckdb.DuckDBPyConnection, dataset: str) -> list[str]:
    """Return a dataset's loaded batches in order, each with the mapping it was read with."""
    rows = connection.execute(
        "select concat_ws(' ', batch_id, mapping) from ops.batches where dataset = ? and status = 'loaded' "
        "order by batch_id",
        [dataset],
    ).fetchall()
    return [version for (version,) in rows]


def loaded_contents(connection: duckdb.DuckDBPyConnection, dataset: str) -> set[str]:
    """Return the hashes of a dataset's loaded contents."""
    rows = connection.execute(
        "select content_sha256 from ops.batches where dataset = ? and status = 'loaded'", [dataset]
    ).fetchall()
    return {row[0] for row in rows}


def record_file(
    connection: duckdb.DuckDBPyConnection,
    file: InboxFile,
    sha256: str,
    status: str,
    rows: int,
    message: str | None,
    now: dt.datetime,
) -> None:
    """Record a file whose rows are in no raw table; it replaces an earlier record of the same content.

    status: `loaded` or `rejected`. now: UTC without zone.
    """
    connection.execute(
        "insert or replace into ops.batches by name select $dataset as dataset, $batch_id as batch_id, "
        "$sha256 as content_sha256, $file as file, $format as format, $bytes as bytes, $arrived_at as arrived_at, "
        "$file_date::date as file_date, $file_number::bigint as file_number, $effective_date as effective_date, "
        "$rows as rows, $rows as loaded, 0 as rejected, $status as status, $message::varchar as message, "
        "$now as loaded_at, $now as modelled_at",
        {
            "dataset": file.dataset,
            "batch_id": sha256[:16],
            "sha256": sha256,
            "file": file.name,
            "format": file.path.suffix.removeprefix("."),
            "bytes": file.bytes,
            "arrived_at": file.arrived_at,
            "file_date": file.date_in_name,
            "file_number": file.number_in_name,
            "effective_date": file.date_in_name or file.arrived_at.date(),
            "rows": rows,
            "status": status,
            "message": message,
            "now": now,
        },
    )


def mark_modelled(
    connection: duckdb.DuckDBPyConnection, batches: Collection[tuple[str, str]], modelled_at: dt.datetime
) -> None:
    """Mark the batches as included in the models; a batch that arrived meanwhile stays unmarked."""
    connection.execute(
        "update ops.batches set modelled_at = ? where modelled_at is null "
        "and (dataset, batch_id) in (select unnest(?::struct(dataset varchar, batch_id varchar)[], recursive := true))",
        [modelled_at, [{"dataset": dataset, "batch_id": batch_id} for dataset, batch_id in batches]],
    )


def insert_batches(
    connection: duckdb.DuckDBPyConnection, group: Sequence[Examined], outcomes: Sequence[Outcome], now: dt.datetime
) -> None:
    """Write the batches' records; they replace records of an earlier rejection of the same content."""
    files = [examined.file for examined in group]
    records = pa.table(
        {
            "dataset": [outcome.dataset for outcome in outcomes],
            "batch_id": [outcome.batch_id for outcome in outcomes],
            "content_sha256": pa.array([examined.content_sha256 for examined in group], pa.string()),
            "file": [outcome.file for outcome in outcomes],
            "format": pa.array([one.layout.format if one.layout else None for one in group], pa.string()),
            "bytes": [file.bytes for file in files],
            "arrived_at": [file.arrived_at for file in files],
            "file_date": pa.array([file.date_in_name for file in files], pa.date32()),
            "file_number": pa.array([file.number_in_name for file in files], pa.int64()),
            "effective_date": [file.date_in_name or file.arrived_at.date() for file in files],
            "rows": [outcome.rows for outcome in outcomes],
            "loaded": [outcome.loaded for outcome in outcomes],
            "rejected": [outcome.rejected for outcome in outcomes],
            "status": [outcome.status for outcome in outcomes],
            "message": pa.array([outcome.message for outcome in outcomes], pa.string()),
            "loaded_at": [now] * len(files),
            "modelled_at": pa.nulls(len(files), pa.timestamp("us")),
            "mapping": pa.array([outcome.mapping for outcome in outcomes], pa.string()),
        }
    )
    connection.register("records_of_batches", records)
    connection.execute("insert or replace into ops.batches by name select * from records_of_batches")
    connection.unregister("records_of_batches")
