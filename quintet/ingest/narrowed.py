"""Quarantine rows that were loaded under a wider contract, when their contract becomes narrower."""

from __future__ import annotations

import hashlib

import duckdb

from quintet.ingest.contract import Dataset, parsing_macros
from quintet.ingest.quarantine import is_empty, row_json_sql
from quintet.ingest.raw_tables import raw_table
from quintet.warehouse.database import transaction


def quarantine_by_new_contract(connection: duckdb.DuckDBPyConnection, dataset: Dataset) -> int:
    """Move the raw rows that break the contract to `ops.rejected_rows`, as JSON; return their number.

    The raw table is read only if the contract differs from the one of the last call.
    """
    contract = hashlib.sha256(f"{parsing_macros()}\0{dataset.broken_sql()}".encode()).hexdigest()
    known = connection.execute("select contract from ops.contracts where dataset = ?", [dataset.name]).fetchone()
    if known == (contract,):
        return 0
    table, broken = raw_table(dataset.name), dataset.broken_sql()
    with transaction(connection):
        # planning the reasons of a wide contract takes a second
        count = (
            0 if is_empty(connection, f"{table} where {broken}") else _quarantine(connection, dataset, table, broken)
        )
        connection.execute("insert or replace into ops.contracts values (?, ?)", [dataset.name, contract])
    return count


def _quarantine(connection: duckdb.DuckDBPyConnection, dataset: Dataset, table: str, broken: str) -> int:
    columns = dataset.columns
    # absent optional columns are null here, so the reasons are those of the cells that have a value
    moved = connection.execute(
        f"insert into ops.rejected_rows select ?, _batch_id, _source_file, _source_row, "
        f"coalesce({dataset.breaches_sql(columns)}, 'breaks the contract'), {row_json_sql(columns)} "
        f"from {table} where {broken}",
        [dataset.name],
    ).fetchone()
    connection.execute(
        "update ops.batches set loaded = loaded - moved, rejected = rejected + moved "
        f"from (select _batch_id, count(*) as moved from {table} where {broken} group by all) as narrowed "
        "where dataset = ? and batch_id = _batch_id",
        [dataset.name],
    )
    connection.execute(f"delete from {table} where {broken}")
    return int(moved[0]) if moved else 0
