"""Read tables of a PostgreSQL in one consistent snapshot, through Arrow.

Rows are compared by the md5 of their text, computed in the database: only new and changed rows are transferred, and no
column with the time of a change is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import adbc_driver_manager
import pyarrow as pa
import pyarrow.compute as pc
from adbc_driver_postgresql import dbapi

from quintet.ingest.contract import Dataset
from quintet.masking import masked
from quintet.warehouse.sql import quote_identifier, quote_literal

FINGERPRINT = pa.schema([("key_hash", pa.string()), ("key", pa.string()), ("row_hash", pa.string())])
"""By key: the hash of its columns, its columns as a JSON list, and the hash of all its rows."""

_SESSION = (
    "set transaction isolation level repeatable read read only",
    "set local timezone = 'UTC'",
    "set local datestyle = 'ISO'",
    "set local extra_float_digits = 1",
    "set local bytea_output = 'hex'",
)


class ExtractError(RuntimeError):
    """The database cannot be read; the text says what failed, where, and how to fix it."""


@dataclass(frozen=True)
class ExtractedTable:
    """A table of the database: its dataset, and its columns of the contract with their types."""

    dataset: Dataset
    columns: Mapping[str, str]


@contextmanager
def one_snapshot(url: str) -> Iterator[Snapshot]:
    """Yield a snapshot: all reads in the body see one moment. Raises ExtractError if the database cannot be reached."""
    try:
        connection = dbapi.connect(url, conn_kwargs={})
    except adbc_driver_manager.Error as error:
        reason = masked(_in_short(error), [url])
        raise ExtractError(
            f"the database {_place(url)} cannot be reached: {reason}. "
            "Start it, or fix QUINTET_POSTGRES_URL; the last good tables stay"
        ) from None
    try:
        snapshot = Snapshot(connection)
        for statement in _SESSION:
            snapshot.execute(statement)
        yield snapshot
    finally:
        connection.close()


def _place(url: str) -> str:
    """Return where the database is, without user and password; empty if the URL cannot be read."""
    from psycopg import ProgrammingError  # noqa: PLC0415  # Dagster's definitions need no database
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    try:
        found = conninfo_to_dict(url)
    except (ProgrammingError, UnicodeError):
        return ""
    return f"{found.get('dbname') or ''} at {found.get('host') or 'this machine'}:{found.get('port') or 5432}".strip()


def activity(url: str, datasets: Sequence[Dataset]) -> str:
    """Return a text that changes when rows of these tables are written: a cheap hint, not a proof.

    Raises ExtractError if the database cannot be reached.
    """
    names = ", ".join(quote_literal(dataset.name) for dataset in datasets)
    with one_snapshot(url) as snapshot:
        found = snapshot.execute(
            "select coalesce(string_agg(relid::text || ' ' || (n_tup_ins + n_tup_upd + n_tup_del)::text, ',' "
            f"order by relid), '') as activity from pg_stat_user_tables where relname in ({names})"
        )
    return "" if found is None else str(found["activity"][0].as_py())


class Snapshot:
    """A read-only view of the database at one moment."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, query: str) -> pa.Table | None:
        """Return the rows of a query; None for a statement without a result. Raises ExtractError if it fails."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(query)
                return None if cursor.description is None else cursor.fetch_arrow_table()
        except adbc_driver_manager.Error as error:
            raise ExtractError(
                f"the query of the database failed: {_in_short(error)}. Run again; nothing was lost"
            ) from error

    def has_any(self, datasets: Sequence[Dataset]) -> bool:
        """Return whether there is a table with the name of one of the datasets."""
        names = ", ".join(quote_literal(dataset.name) for dataset in datasets)
        found = self._rows(
            "select table_name::text as name from information_schema.tables "
            f"where table_schema = any (current_schemas(false)) and table_name in ({names})"
        )
        return bool(found.num_rows)

    def table(self, dataset: Dataset) -> ExtractedTable:
        """Return the table with the name of the dataset. Raises ExtractError if it or a required column is missing."""
        found = self._rows(
            "select column_name::text as name, data_type::text as type from information_schema.columns "
            f"where table_schema = any (current_schemas(false)) and table_name = {quote_literal(dataset.name)}"
        ).to_pylist()
        if not found:
            raise ExtractError(
                f"the database has no table {dataset.name} that can be read; create it or grant select on it"
            )
        types = {row["name"]: row["type"] for row in found}
        missing = [name for name in _required(dataset) if name not in types]
        if missing:
            raise ExtractError(
                f"the table {dataset.name} of the database has no column {', '.join(missing)}, which is required; "
                f"it has {', '.join(sorted(types))}. The last good tables stay"
            )
        return ExtractedTable(dataset, {name: types[name] for name in dataset.columns if name in types})

    def fingerprints(self, table: ExtractedTable) -> pa.Table:
        """Return `FINGERPRINT` of every key; rows that share a key are hashed together, in any order."""
        texts = ", ".join(f"{quote_identifier(name)}::text" for name in table.columns)
        key = ", ".join(f"{quote_identifier(name)}::text" for name in table.dataset.key)
        return self._rows(
            f"select key_hash, key, md5(string_agg(row_hash, '' order by row_hash)) as row_hash from ("
            f"select md5(row({key})::text) as key_hash, json_build_array({key})::text as key, "
            f"md5(row({texts})::text) as row_hash from {quote_identifier(table.dataset.name)}) as hashed "
            "group by key_hash, key order by key_hash"
        ).cast(FINGERPRINT)

    def rows(self, table: ExtractedTable, key_hashes: Sequence[str], most_asked: int) -> pa.Table:
        """Return the rows with these keys as text, in a stable order.

        most_asked: for more keys than this, the whole table is read and filtered here.
        """
        key = ", ".join(f"{quote_identifier(name)}::text" for name in table.dataset.key)
        texts = ", ".join(f"{quote_identifier(name)}::text as {quote_identifier(name)}" for name in table.columns)
        order = ", ".join(str(place) for place in range(1, len(table.columns) + 1))
        asked = quote_literal("{" + ",".join(key_hashes) + "}")
        chosen = f"where md5(row({key})::text) = any ({asked}::text[])" if len(key_hashes) <= most_asked else ""
        found = self._rows(
            f"select {texts}, md5(row({key})::text) as key_hash from {quote_identifier(table.dataset.name)} {chosen} "
            f"order by {order}"
        )
        is_wanted = pc.is_in(found["key_hash"], value_set=pa.array(key_hashes, found["key_hash"].type))
        return found.filter(is_wanted).drop_columns("key_hash")

    def _rows(self, query: str) -> pa.Table:
        found = self.execute(query)
        if found is None:
            raise ExtractError("the database returned no result for a query. Run again; nothing was lost")
        return found


def _required(dataset: Dataset) -> list[str]:
    return [name for name, column in dataset.schema.columns.items() if column.required]


def _in_short(error: Exception) -> str:
    """Return the first line of the driver's message, without the query."""
    return str(error).strip().splitlines()[0].split("\nQuery:")[0][:300]
