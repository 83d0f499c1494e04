"""Tables that the service writes to the state store and a run ingests into the warehouse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pandas as pd

from quintet.state.store import FILE, StateStore
from quintet.warehouse.database import transaction
from quintet.warehouse.sql import quote_identifier

_ROWS_AT_ONCE = 100_000


@dataclass(frozen=True)
class RecordedTable:
    """An append-only table, ingested as `ops.<name>` of the warehouse.

    columns: DuckDB type by column; the first one is the increasing integer key. optional: the columns that may be null.
    Times are ISO 8601 with their zone in the state store and UTC without zone in the warehouse; lists are JSON arrays
    there. file, source: the file and the table of the state store; `source` defaults to `name`.
    group: the asset group. former_names: by column, its name in stores and warehouses of earlier releases.
    """

    name: str
    group: str
    description: str
    columns: Mapping[str, str]
    optional: frozenset[str] = frozenset()
    file: str = FILE
    source: str = ""
    former_names: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Return the key column."""
        return next(iter(self.columns))

    @property
    def table(self) -> str:
        """Return the quoted name in the warehouse."""
        return f"ops.{quote_identifier(self.name)}"


def create_recorded(connection: duckdb.DuckDBPyConnection, tables: Iterable[RecordedTable]) -> None:
    """Create the missing tables in the schema `ops`."""
    with transaction(connection):  # one disk sync
        for table in tables:
            declared = [
                f"{quote_identifier(name)} {kind}"
                + (" primary key" if name == table.key else "" if name in table.optional else " not null")
                for name, kind in table.columns.items()
            ]
            connection.execute(f"create table if not exists {table.table} ({', '.join(declared)})")
            present = {name for name, *_ in connection.execute(f"describe {table.table}").fetchall()}
            for name, former in table.former_names.items():
                if former in present:
                    connection.execute(f"alter table {table.table} rename column {former} to {name}")


def ingest_recorded(connection: duckdb.DuckDBPyConnection, table: RecordedTable, folder: Path) -> int:
    """Append the rows after the last ingested one in one transaction; return the table's row count.

    folder: of the state store; without its file there are no rows.
    """
    ((last,),) = connection.execute(f"select coalesce(max({table.key}), 0) from {table.table}").fetchall()
    if (folder / table.file).exists():
        with closing(StateStore(folder, table.file)) as store, transaction(connection):
            for rows in _rows_after(store, table, last):
                connection.register("recorded", rows)
                connection.execute(f"insert into {table.table} by name select {_typed(table)} from recorded")
                connection.unregister("recorded")
    ((count,),) = connection.execute(f"select count(*) from {table.table}").fetchall()
    return int(count)


def _rows_after(store: StateStore, table: RecordedTable, last: int) -> Iterable[pd.DataFrame]:
    source = table.source or table.name
    if not store.read().execute("select 1 from sqlite_schema where name = ?", (source,)).fetchone():
        return ()
    # until the service migrates it, the store of an earlier release has the former names
    present = {row["name"] for row in store.read().execute(f"pragma table_info({quote_identifier(source)})")}
    named = {name: name if name in present else table.former_names.get(name, name) for name in table.columns}
    columns = [f"{quote_identifier(stored)} as {quote_identifier(name)}" for name, stored in named.items()]
    return pd.read_sql_query(
        f"select {', '.join(columns)} from {quote_identifier(source)} where {table.key} > ? order by {table.key}",
        store.read(),
        params=(last,),
        chunksize=_ROWS_AT_ONCE,
    )


def _typed(table: RecordedTable) -> str:
    return ", ".join(f"{_value(quote_identifier(name), kind)} as {name}" for name, kind in table.columns.items())


def _value(column: str, kind: str) -> str:
    if kind == "timestamp":
        return f"{column}::timestamptz at time zone 'UTC'"
    if kind.endswith("[]"):
        return f"from_json({column}, '[\"{kind.removesuffix('[]')}\"]')"
    return f"{column}::{kind}"
