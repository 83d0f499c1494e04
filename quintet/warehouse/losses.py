"""Find what a publication would lose against the snapshot before it."""

from __future__ import annotations

import duckdb

from quintet.presentation.wording import counted
from quintet.warehouse.domain_states import DomainBuild
from quintet.warehouse.sql import quote_identifier

FEW_ROWS = 20
"""A table with fewer rows may lose any number of them."""

SHARE_KEPT = 0.5
"""A table that keeps a smaller share of its rows has lost most of them."""

_MOST_NAMED = 5


def losses(connection: duckdb.DuckDBPyConnection, build: DomainBuild, before: str) -> list[str]:
    """Return in words what a domain of the warehouse has lost against the snapshot attached as `before`.

    Tables that are gone, tables that have lost most of their rows, and loaded files whose rows are gone.
    """
    had, has = tables_of(connection, before), tables_of(connection)
    gone = sorted(table for table in build.tables if table in had and table not in has)
    found = [f"the table {table} is gone" for table in gone]
    for table in sorted(build.keeping & had & has):
        former, now = _count(connection, f"{before}.{_quoted(table)}"), _count(connection, _quoted(table))
        if former >= FEW_ROWS and now < SHARE_KEPT * former:
            found.append(f"{table} has {counted(now, 'row')} instead of {former:,}")
    return found + _lost_files(connection, build, before, had)


def _lost_files(
    connection: duckdb.DuckDBPyConnection, build: DomainBuild, before: str, had: frozenset[str]
) -> list[str]:
    if not build.datasets or "marts.ops_batches" not in had:
        return []
    lost = connection.execute(
        f"select dataset || '/' || file from {before}.marts.ops_batches as former "
        "where status = 'loaded' and list_contains(?, dataset) and not exists ("
        "select 1 from ops.batches as batch where batch.dataset = former.dataset "
        "and batch.batch_id = former.batch_id "
        # of a rejected file: what it was read with was taken back by a person
        "and (batch.status = 'loaded' or batch.mapping is not null)) order by all",
        [sorted(build.datasets)],
    ).fetchall()
    if not lost:
        return []
    names = ", ".join(file for (file,) in lost[:_MOST_NAMED])
    more = f" and {len(lost) - _MOST_NAMED:,} more" if len(lost) > _MOST_NAMED else ""
    return [f"the rows of {counted(len(lost), 'file')} are gone, which are no longer in their inboxes: {names}{more}"]


def tables_of(connection: duckdb.DuckDBPyConnection, catalog: str | None = None) -> frozenset[str]:
    """Return the tables and views of a catalog, as `schema.table`; None: of the warehouse's own two files."""
    rows = connection.execute(
        "select table_schema || '.' || table_name from information_schema.tables "
        "where table_catalog = $catalog or ($catalog is null and table_catalog in (current_database(), 'published'))",
        {"catalog": catalog},
    ).fetchall()
    return frozenset(name for (name,) in rows)


def _quoted(table: str) -> str:
    schema, _, name = table.partition(".")
    return f"{schema}.{quote_identifier(name)}"


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    ((count,),) = connection.execute(f"select count(*) from {table}").fetchall()
    return int(count)
