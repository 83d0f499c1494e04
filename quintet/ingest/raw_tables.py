"""Create the raw tables and the bookkeeping of what was loaded into them."""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from quintet.ingest.contract import Dataset, parsing_macros
from quintet.warehouse.database import SCHEMAS, transaction
from quintet.warehouse.sql import quote_identifier

PROVENANCE = {"_extra": "varchar", "_batch_id": "varchar", "_source_file": "varchar", "_source_row": "bigint"}
"""The columns with their types that every raw table has after the columns of its contract."""

_BOOKKEEPING = """
create table if not exists ops.batches (
    dataset varchar not null,
    batch_id varchar not null,
    content_sha256 varchar,
    file varchar not null,
    format varchar,
    bytes bigint,
    arrived_at timestamp not null,
    file_date date,
    file_number bigint,
    effective_date date not null,
    rows bigint not null,
    loaded bigint not null,
    rejected bigint not null,
    status varchar not null check (status in ('loaded', 'rejected')),
    message varchar,
    loaded_at timestamp not null,
    modelled_at timestamp,
    mapping varchar,
    primary key (dataset, batch_id)
);
alter table ops.batches add column if not exists mapping varchar;
create table if not exists ops.unread_files (
    dataset varchar not null,
    batch_id varchar not null,
    file varchar not null,
    bytes bigint not null,
    message varchar not null,
    titles varchar[] not null,
    lacking varchar[] not null,
    first_rows varchar[][] not null,
    arrived_at timestamp not null,
    primary key (dataset, batch_id)
);
create table if not exists ops.rejected_rows (
    dataset varchar not null,
    batch_id varchar not null,
    file varchar not null,
    source_row bigint not null,
    reason varchar not null,
    text varchar
);
create table if not exists ops.source_rows (
    dataset varchar not null,
    key_hash varchar not null,
    key varchar not null,
    row_hash varchar not null,
    seen_at timestamp not null,
    deleted_at timestamp,
    primary key (dataset, key_hash)
);
create table if not exists ops.source_columns (
    dataset varchar not null,
    column_name varchar not null,
    type varchar not null
);
create table if not exists ops.contracts (dataset varchar primary key, contract varchar not null);
drop table if exists ops.build;
create table if not exists ops.built (name varchar primary key, code_version varchar not null);
"""


def prepare(connection: duckdb.DuckDBPyConnection, datasets: Iterable[Dataset]) -> None:
    """Create what is missing: schemas, parsing macros, bookkeeping tables, and a raw table for each dataset.

    A column that a contract has gained is added to its raw table. Running it again changes nothing.
    """
    # outside the transaction, which can write to one file only
    for schema in SCHEMAS:
        connection.execute(f"create schema if not exists {schema}")
    with transaction(connection):  # so that opening the warehouse waits for the disk only once
        connection.execute(parsing_macros())
        connection.execute(_BOOKKEEPING)
        for dataset in datasets:
            _prepare_raw_table(connection, dataset)


def preparation(datasets: Iterable[Dataset]) -> str:
    """Return a text that changes with what `prepare` creates."""
    return repr([SCHEMAS, parsing_macros(), _BOOKKEEPING, [(one.name, _columns(one)) for one in datasets]])


def _columns(dataset: Dataset) -> dict[str, str]:
    return dict.fromkeys(dataset.columns, "varchar") | PROVENANCE


def _prepare_raw_table(connection: duckdb.DuckDBPyConnection, dataset: Dataset) -> None:
    table, columns = raw_table(dataset.name), _columns(dataset)
    declared = ", ".join(f"{quote_identifier(name)} {kind}" for name, kind in columns.items())
    connection.execute(f"create table if not exists {table} ({declared})")
    present = {name for (name,) in connection.execute(f"select column_name from (describe {table})").fetchall()}
    for name in [name for name in columns if name not in present]:
        connection.execute(f"alter table {table} add column {quote_identifier(name)} {columns[name]}")


def raw_table(dataset_name: str) -> str:
    """Return the quoted name of a dataset's raw table."""
    return f"raw.{quote_identifier(dataset_name)}"
