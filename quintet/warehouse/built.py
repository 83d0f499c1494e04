"""The code versions that built incremental tables."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb


def built_versions(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return the code version that built each incremental table, by the table's name."""
    return dict(connection.execute("select name, code_version from ops.built").fetchall())


def set_built(connection: duckdb.DuckDBPyConnection, versions: Mapping[str, str]) -> None:
    """Record the code versions that built tables."""
    for name, version in versions.items():
        connection.execute("insert or replace into ops.built values (?, ?)", [name, version])


def forget_built(connection: duckdb.DuckDBPyConnection) -> None:
    """Forget what built the incremental tables, so that the next run builds them from scratch."""
    ((is_there,),) = connection.execute(
        "select count(*) > 0 from duckdb_tables() where schema_name = 'ops' and table_name = 'built'"
    ).fetchall()
    if is_there:
        connection.execute("delete from ops.built")
