"""Tables that the service writes to the state store and a run ingests into the warehouse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field

import duckdb
import pandas as pd

from quintet.state.frames import frame_of
from quintet.state.store import FILE, StateStore
from quintet.state_place import Place, place_of
from quintet.warehouse.database import transaction
from quintet.warehouse.sql import quote_identifier

_ROWS_AT_ONCE = 100_000
_BEFORE_ALL = -(2**63)


_NUMBERING = """
create table if not exists ops.recorded_numbering (
    table_name varchar, first_key bigint, shift bigint not null, primary key (table_name, first_key)
)
"""
"""From `first_key` on, keys of `ops.<table_name>` are the state store's plus `shift`; without a row they are equal."""


@dataclass(frozen=True)
class RecordedTable:
    """An append-only table, ingested as `ops.<name>` of the warehouse.

    columns: DuckDB type by column; the first one is the increasing integer key. optional: the columns that may be null.
    Times are ISO 8601 with their zone in the state store and UTC without zone in the warehouse; lists are JSON arrays
    there. file, source: the file and the table of the state store; `source` defaults to `name`.
    group: the asset group. former_names: by column, its name in stores and warehouses of earlier releases.
    A row that is changed in the state store is ingested again, as another row.
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


@dataclass(frozen=True)
class _LastRow:
    """The last ingested row. key: in the warehouse. stored_key: in the state store that it came from."""

    key: int
    stored_key: int


def preparation(tables: Iterable[RecordedTable]) -> str:
    """Return a text that changes with what `create_recorded` creates."""
    declared = [(one.table, dict(one.columns), sorted(one.optional), dict(one.former_names)) for one in tables]
    return repr([_NUMBERING, declared])


def create_recorded(connection: duckdb.DuckDBPyConnection, tables: Iterable[RecordedTable]) -> None:
    """Create the missing tables in the schema `ops`."""
    with transaction(connection):  # one disk sync
        connection.execute(_NUMBERING)
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


def ingest_recorded(connection: duckdb.DuckDBPyConnection, table: RecordedTable, place: Place) -> int:
    """Append the rows that the warehouse does not have in one transaction; return the table's row count.

    place: of the state store; without its file there are no rows. A store that was deleted or restored from a copy
    uses keys again: its new rows are numbered after the last ingested one, and no ingested row is removed.
    """
    where = place_of(place)
    if where.url is not None or (where.folder / table.file).exists():
        with closing(StateStore(where, table.file)) as store, transaction(connection):
            last = _last_row(connection, table)
            if last is not None and _has_row(connection, table, store, last):
                _stage(connection, table, _rows_after(store, table, last.stored_key))
            else:
                _stage(connection, table, _rows_after(store, table, _BEFORE_ALL))
                _drop_ingested(connection, table)
                _renumber(connection, table, last)
            connection.execute(
                f"insert into {table.table} by name select * replace "
                f"({_key(table)} + {_SHIFT_OF_LAST} as {_key(table)}) from staged_records order by {_key(table)}",
                {"name": table.name},
            )
            connection.execute("drop table staged_records")
    ((count,),) = connection.execute(f"select count(*) from {table.table}").fetchall()
    return int(count)


def count_restarts(connection: duckdb.DuckDBPyConnection, table: RecordedTable) -> int:
    """Return how often the numbering of the state store started again below keys that were ingested."""
    ((count,),) = connection.execute(
        "select count(*) from ops.recorded_numbering where table_name = ?", [table.name]
    ).fetchall()
    return int(count)


_SHIFT_OF_LAST = "coalesce((select arg_max(shift, first_key) from ops.recorded_numbering where table_name = $name), 0)"


def _last_row(connection: duckdb.DuckDBPyConnection, table: RecordedTable) -> _LastRow | None:
    ((key, shift),) = connection.execute(
        f"select max({_key(table)}), {_SHIFT_OF_LAST} from {table.table}", {"name": table.name}
    ).fetchall()
    return None if key is None else _LastRow(key, key - shift)


def _has_row(connection: duckdb.DuckDBPyConnection, table: RecordedTable, store: StateStore, last: _LastRow) -> bool:
    """Return whether the store still has the last ingested row: then it has the ones before, which never change."""
    _stage(connection, table, [_rows(store, table, "=", last.stored_key)])
    ((count,),) = connection.execute(
        f"select count(*) from (select * exclude ({_key(table)}) from staged_records "
        f"intersect select * exclude ({_key(table)}) from ({_ingested(table)} where {_key(table)} = $key))",
        {"key": last.key},
    ).fetchall()
    return bool(count)


def _stage(connection: duckdb.DuckDBPyConnection, table: RecordedTable, chunks: Iterable[pd.DataFrame]) -> None:
    """Write rows of the store to the temporary table `staged_records`, typed and with the store's keys."""
    declared = ", ".join(f"{quote_identifier(name)} {kind}" for name, kind in table.columns.items())
    connection.execute(f"create or replace temp table staged_records ({declared})")
    for rows in chunks:
        connection.register("recorded", rows)
        connection.execute(f"insert into staged_records by name select {_typed(table)} from recorded")
        connection.unregister("recorded")


def _drop_ingested(connection: duckdb.DuckDBPyConnection, table: RecordedTable) -> None:
    """Keep the staged rows that were not ingested: no ingested row has the same key of a store and the same content."""
    connection.execute(
        f"""
        create or replace temp table staged_records as
        select * from staged_records
        except
        select ingested.* replace ({_key(table)} - coalesce(shift, 0) as {_key(table)})
        from ({_ingested(table)}) as ingested
        asof left join (from ops.recorded_numbering where table_name = $name) as numbering
            on ingested.{_key(table)} >= numbering.first_key
        """,
        {"name": table.name},
    )


def _renumber(connection: duckdb.DuckDBPyConnection, table: RecordedTable, last: _LastRow | None) -> None:
    """Note the numbering of the staged rows: the store's keys, or after the last ingested one where those are taken."""
    ((first,),) = connection.execute(f"select min({_key(table)}) from staged_records").fetchall()
    if first is None or last is None:
        return
    shift = max(0, last.key + 1 - first)
    if shift != last.key - last.stored_key:
        connection.execute("insert into ops.recorded_numbering values (?, ?, ?)", [table.name, first + shift, shift])


def _rows_after(store: StateStore, table: RecordedTable, key: int) -> Iterable[pd.DataFrame]:
    """Yield the store's rows with a later key, in chunks."""
    while len(rows := _rows(store, table, ">", key)):
        yield rows
        key = int(rows[table.key].iloc[-1])


def _rows(store: StateStore, table: RecordedTable, comparison: str, key: int) -> pd.DataFrame:
    """Return the first of the store's rows with a key `comparison` (">" or "=") `key`; none without the table."""
    source = table.source or table.name
    # until the service migrates it, the store of an earlier release has the former names
    present = set(store.columns(source))
    if not present:
        return pd.DataFrame(columns=list(table.columns))
    named = {name: name if name in present else table.former_names.get(name, name) for name in table.columns}
    columns = [f"{quote_identifier(stored)} as {quote_identifier(name)}" for name, stored in named.items()]
    stored_key = quote_identifier(named[table.key])
    return frame_of(
        store,
        f"select {', '.join(columns)} from {quote_identifier(source)} where {stored_key} {comparison} ? "
        f"order by {stored_key} limit ?",
        (key, _ROWS_AT_ONCE),
    )


def _key(table: RecordedTable) -> str:
    return quote_identifier(table.key)


def _ingested(table: RecordedTable) -> str:
    """Return a query of the ingested rows with the declared columns in their order."""
    return f"select {', '.join(map(quote_identifier, table.columns))} from {table.table}"


def _typed(table: RecordedTable) -> str:
    return ", ".join(
        f"{_value(quote_identifier(name), kind)} as {quote_identifier(name)}" for name, kind in table.columns.items()
    )


def _value(column: str, kind: str) -> str:
    if kind == "timestamp":
        return f"{column}::timestamptz at time zone 'UTC'"
    if kind.endswith("[]"):
        return f"from_json({column}, '[\"{kind.removesuffix('[]')}\"]')"
    return f"{column}::{kind}"
