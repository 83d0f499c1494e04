"""Keep the rows of forgotten persons out of the raw tables: they are quarantined without their text."""

from __future__ import annotations

from collections.abc import Collection

import duckdb
import pyarrow as pa

from quintet.forgotten import REASON, Forgotten
from quintet.ingest.contract import Dataset
from quintet.ingest.raw_tables import raw_table
from quintet.warehouse.database import transaction
from quintet.warehouse.sql import quote_identifier, quote_literal

_TABLE = "forgotten_persons"


def set_forgotten(connection: duckdb.DuckDBPyConnection, forgotten: Forgotten) -> None:
    """Make the forgotten persons known to the loads of this connection; nothing is written to the warehouse."""
    pairs = [(kind, digest) for kind, digests in forgotten.persons.items() for digest in digests]
    if not pairs:
        return
    rows = pa.table({"kind": [kind for kind, _ in pairs], "person": [digest for _, digest in pairs]})
    connection.register("given_persons", rows)
    connection.execute(f"create or replace temp table {_TABLE} as from given_persons")
    connection.unregister("given_persons")
    for name, pad in zip(("inner", "outer"), forgotten.pads(), strict=True):
        connection.execute(f"set variable forgotten_{name} = ?::blob", [pad])


def is_forgotten_sql(connection: duckdb.DuckDBPyConnection, dataset: Dataset) -> str | None:
    """Return an SQL predicate that is true for the rows of forgotten persons; None if there cannot be any."""
    if not _may_have_forgotten(connection, dataset):
        return None
    return " or ".join(
        f"coalesce({_digest_sql(kind, quote_identifier(column))} in (select person from {_TABLE} "
        f"where kind = {quote_literal(kind)}), false)"
        for column, kind in dataset.persons.items()
    )


def forgotten_among(connection: duckdb.DuckDBPyConnection, dataset: Dataset, texts: Collection[str]) -> set[str]:
    """Return those of the texts that are the id of a forgotten person of a dataset."""
    if not texts or not _may_have_forgotten(connection, dataset):
        return set()
    is_forgotten = " or ".join(
        f"coalesce({_digest_sql(kind, 'text')} in (select person from {_TABLE} where kind = {quote_literal(kind)}), "
        "false)"
        for kind in sorted(set(dataset.persons.values()))
    )
    found = connection.execute(
        f"select text from (select distinct unnest(?::varchar[]) as text) where {is_forgotten}", [list(texts)]
    ).fetchall()
    return {text for (text,) in found}


def quarantine_person(connection: duckdb.DuckDBPyConnection, dataset: Dataset, kind: str, person: str) -> int:
    """Move a person's raw rows to `ops.rejected_rows` without their text; return their number.

    person: the id as `contract.as_code` reads it.
    """
    columns = [quote_identifier(column) for column, known in dataset.persons.items() if known == kind]
    if not columns:
        return 0
    table = raw_table(dataset.name)
    mine = " or ".join(f"contract.as_code({column}) = {quote_literal(person)}" for column in columns)
    with transaction(connection):
        ((count,),) = connection.execute(
            f"insert into ops.rejected_rows select ?, _batch_id, _source_file, _source_row, ?, null "
            f"from {table} where {mine}",
            [dataset.name, REASON],
        ).fetchall()
        connection.execute(
            "update ops.batches set loaded = loaded - moved, rejected = rejected + moved "
            f"from (select _batch_id, count(*) as moved from {table} where {mine} group by all) as erased "
            "where dataset = ? and batch_id = _batch_id",
            [dataset.name],
        )
        connection.execute(f"delete from {table} where {mine}")
    return int(count)


def _may_have_forgotten(connection: duckdb.DuckDBPyConnection, dataset: Dataset) -> bool:
    ((is_known,),) = connection.execute(
        "select count(*) > 0 from duckdb_tables() where table_name = ? and temporary", [_TABLE]
    ).fetchall()
    return bool(is_known and dataset.persons)


def _digest_sql(kind: str, column: str) -> str:
    text = f"encode({quote_literal(kind + ':')} || contract.as_code({column}))"
    return f"sha256(getvariable('forgotten_outer') || unhex(sha256(getvariable('forgotten_inner') || {text})))"
