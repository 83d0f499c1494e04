"""Canonical hashes of tables: equal content has an equal hash in any order of rows."""

from __future__ import annotations

from collections.abc import Collection

import duckdb

from quintet.warehouse.sql import quote_identifier

ARRIVAL_COLUMNS = frozenset(
    {"arrived_at", "at", "modelled_at", "effective_date", "built_at", "first_arrived_at", "first_file"}
)
"""Columns with the time at which a file arrived or a domain was built, not the content."""


def table_digest(connection: duckdb.DuckDBPyConnection, table: str, exclude: Collection[str] = ARRIVAL_COLUMNS) -> str:
    """Return an md5 over the rows of `table` ("schema.name") as text, sorted, without the excluded columns."""
    described = connection.execute(f"describe {table}").fetchall()
    columns = [quote_identifier(name) for name, *_ in described if name not in exclude]
    digest = connection.execute(
        f"with chosen as (select {', '.join(columns)} from {table}), "
        "digests as (select md5(cast(to_json(chosen) as varchar)) as digest from chosen) "
        "select md5(coalesce(string_agg(digest, '' order by digest), '')) from digests"
    ).fetchone()
    return str(digest[0]) if digest else ""


def schema_digests(
    connection: duckdb.DuckDBPyConnection, schema: str, exclude: Collection[str] = ARRIVAL_COLUMNS
) -> dict[str, str]:
    """Return the digest of each table and view of a schema, by name."""
    tables = connection.execute(
        "select table_name from information_schema.tables where table_schema = ? order by 1", [schema]
    ).fetchall()
    return {
        name: table_digest(connection, f"{quote_identifier(schema)}.{quote_identifier(name)}", exclude)
        for (name,) in tables
    }
