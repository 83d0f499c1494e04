"""Write normalised agency performance to its staging table, batch by batch."""

from __future__ import annotations

import duckdb

from quintet.insurance.contract import AGENCY_PERFORMANCE
from quintet.insurance.normalise import SCHEMA, STAGING_COLUMNS, normalise

TABLE = "staging.stg_agency_performance"

_INPUT = ", ".join([*AGENCY_PERFORMANCE.columns, "_batch_id", "_source_file", "_source_row"])


def stage_new_batches(connection: duckdb.DuckDBPyConnection, *, from_scratch: bool) -> int:
    """Normalise the batches that `staging.stg_agency_performance` lacks; return the number of rows added.

    from_scratch: rebuild the table, because the method has changed. Each batch is one transaction: a crash loses only
    the current batch. Raises pandera's SchemaErrors where the result breaks its schema.
    """
    declared = ", ".join(f"{name} {kind}" for name, kind in STAGING_COLUMNS.items())
    if from_scratch:
        connection.execute(f"drop table if exists {TABLE}")
    connection.execute(f"create table if not exists {TABLE} ({declared})")
    lacking = connection.execute(
        f"select distinct _batch_id from raw.agency_performance "
        f"where _batch_id not in (select distinct _batch_id from {TABLE}) order by all"
    ).fetchall()
    return sum(_stage_batch(connection, batch_id) for (batch_id,) in lacking)


def _stage_batch(connection: duckdb.DuckDBPyConnection, batch_id: str) -> int:
    raw = connection.execute(
        f"select {_INPUT} from raw.agency_performance where _batch_id = ? order by _source_row", [batch_id]
    ).df()
    normalised = SCHEMA.validate(normalise(raw), lazy=True)
    connection.register("normalised", normalised)
    connection.execute(f"insert into {TABLE} by name select * from normalised")
    connection.unregister("normalised")
    return len(normalised)
