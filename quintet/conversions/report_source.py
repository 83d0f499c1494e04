"""Where the figures of a report come from: the files behind a snapshot."""

from __future__ import annotations

import duckdb

from quintet.presentation.wording import counted


def source_of(connection: duckdb.DuckDBPyConnection) -> str:
    """Return the files that the conversions of a snapshot come from, in words."""
    files = connection.execute(
        "select dataset, count(distinct file) from marts.ops_batches "
        "where dataset in ('conversions', 'broker_rows') and status = 'loaded' group by all order by all desc"
    ).fetchall()
    names = {"conversions": "conversions", "broker_rows": "broker rows"}
    return ", ".join(f"{counted(count, 'file')} of {names[name]}" for name, count in files) or "no files"
