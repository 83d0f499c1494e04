"""Extract an application's tables into raw tables: only new and changed rows, with deletes recorded.

The rows of one extraction are one Parquet file and so one batch. The known state of the database (`ops.source_rows`) is
updated only after the batch is loaded: a process that is killed in between extracts the same rows again, which changes
nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from quintet.ingest.batches import Outcome
from quintet.ingest.contract import Dataset
from quintet.ingest.inbox import list_inbox
from quintet.ingest.load import load_files
from quintet.postgres_extract.postgres import ExtractedTable, ExtractError, one_snapshot
from quintet.warehouse.database import transaction

MOST_KEYS_ASKED = 50_000
"""The most keys whose rows are selected in a query; for more, the whole table is read and filtered here."""

FILE_PREFIX = "postgres_"
"""The prefix of the name of every batch from a database."""

_EXTRACTED_AT = "extracted_at"
_COMPARED = """
    create or replace temp table compared as
    select
        now.key_hash,
        coalesce(now.key, known.key) as key,
        now.row_hash,
        case
            when now.key_hash is null then 'deleted'
            when known.key_hash is null or known.deleted_at is not null then 'new'
            when known.row_hash <> now.row_hash then 'changed'
        end as what,
        known.key_hash as known_key_hash
    from fingerprints as now
    full join (select * from ops.source_rows where dataset = $dataset) as known on known.key_hash = now.key_hash
    where known.key_hash is null or now.key_hash is not null or known.deleted_at is null
"""


@dataclass(frozen=True)
class Extraction:
    """The result for a table: keys that are new, changed and deleted since the last time, and rows that were loaded."""

    dataset: str
    new: int
    changed: int
    deleted: int
    rows: int
    rejected: int


def extract(
    connection: duckdb.DuckDBPyConnection,
    url: str,
    datasets: Sequence[Dataset],
    landing: Path,
    now: dt.datetime,
    report: Callable[[str], None],
    accept_changed_columns: bool = False,
) -> list[Extraction]:
    """Load what changed in the database since the last time into the raw tables, all tables as of one moment.

    connection: to the warehouse. landing: folder for intermediate files. now: UTC without zone. Raises ExtractError if
    the database is down, or a column vanished or changed its type (unless that is accepted); the last good tables stay.
    Returns an empty list if the database never had any of the tables: it belongs to another business.
    """
    done = []
    with one_snapshot(url) as snapshot:
        if not _was_read_before(connection, datasets) and not snapshot.has_any(datasets):
            return []
        tables = [snapshot.table(dataset) for dataset in datasets]
        if not accept_changed_columns:
            for table in tables:
                _require_known_columns(connection, table)
        for table in tables:
            name = table.dataset.name
            connection.register("fingerprints", snapshot.fingerprints(table))
            connection.execute(_COMPARED, {"dataset": name}).fetchall()
            connection.unregister("fingerprints")
            counts = dict(connection.execute("select what, count(*) from compared group by what").fetchall())
            wanted = connection.execute(
                "select key_hash from compared where what in ('new', 'changed') order by key_hash"
            ).fetchall()
            outcome = None
            if wanted:
                rows = snapshot.rows(table, [key for (key,) in wanted], MOST_KEYS_ASKED)
                outcome = _land(connection, table.dataset, rows, landing, now, report)
            _remember(connection, table, now)
            done.append(
                Extraction(
                    name,
                    counts.get("new", 0),
                    counts.get("changed", 0),
                    counts.get("deleted", 0),
                    outcome.loaded if outcome else 0,
                    outcome.rejected if outcome else 0,
                )
            )
    return done


def _was_read_before(connection: duckdb.DuckDBPyConnection, datasets: Sequence[Dataset]) -> bool:
    names = [dataset.name for dataset in datasets]
    ((found,),) = connection.execute(
        "select exists (from ops.source_columns where list_contains(?, dataset))", [names]
    ).fetchall()
    return bool(found)


def _require_known_columns(connection: duckdb.DuckDBPyConnection, table: ExtractedTable) -> None:
    """Raise ExtractError if a column that was read before is gone or has another type."""
    name = table.dataset.name
    known = connection.execute("select column_name, type from ops.source_columns where dataset = ?", [name]).fetchall()
    faults = []
    for column, kind in sorted(known):
        if column not in table.columns:
            faults.append(f"column {column} ({kind}) vanished")
        elif table.columns[column] != kind:
            faults.append(f"column {column} was {kind} and is {table.columns[column]}")
    if faults:
        raise ExtractError(
            f"the table {name} of the database has changed: {'; '.join(faults)}. Change it back, or materialise "
            "source/promotions with accept_changed_columns: true if it is meant. The last good tables stay"
        )


def _land(
    connection: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    rows: pa.Table,
    landing: Path,
    now: dt.datetime,
    report: Callable[[str], None],
) -> Outcome:
    """Write the rows to a file, load it as a batch, and remove it."""
    folder = landing / dataset.name
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.iterdir():  # of an extraction that was killed: these rows include its rows
        left.unlink()
    moment = now.isoformat(timespec="microseconds")
    stamped = rows.append_column(_EXTRACTED_AT, pa.array([moment] * len(rows), pa.string()))
    file = folder / f"{FILE_PREFIX}{dataset.name}_{now:%Y-%m-%d}_{now:%H%M%S%f}.parquet"
    pq.write_table(stamped, file)
    outcomes = load_files(connection, dataset, list_inbox(landing, dataset.name), now, report, is_inbox=False)
    (outcome,) = outcomes
    if outcome.status not in ("loaded", "known"):
        raise ExtractError(f"the rows of the database table {dataset.name} cannot be loaded: {outcome.message}")
    file.unlink()
    return outcome


def _remember(connection: duckdb.DuckDBPyConnection, table: ExtractedTable, now: dt.datetime) -> None:
    """Record the state of the database from the table `compared`, and its columns."""
    name = table.dataset.name
    columns = pa.table({"column_name": list(table.columns), "type": list(table.columns.values())})
    with transaction(connection):
        connection.execute(
            "insert or replace into ops.source_rows "
            "select ?, key_hash, key, row_hash, ?, null from compared where what in ('new', 'changed')",
            [name, now],
        ).fetchall()
        connection.execute(
            "update ops.source_rows set deleted_at = ? where dataset = ? and deleted_at is null "
            "and key_hash in (select known_key_hash from compared where what = 'deleted')",
            [now, name],
        ).fetchall()
        connection.execute("delete from ops.source_columns where dataset = ?", [name]).fetchall()
        connection.register("columns_of_source", columns)
        connection.execute("insert into ops.source_columns select ?, * from columns_of_source", [name]).fetchall()
        connection.unregister("columns_of_source")
        connection.execute("drop table compared").fetchall()
