"""How long each carrier takes, in the middle and at worst."""

from __future__ import annotations

import duckdb

from quintet.warehouse.database import transaction

TABLE = "ml.parcel_delays"


def write_delays(connection: duckdb.DuckDBPyConnection) -> None:
    """Replace `TABLE` by the days that each carrier took."""
    parcels = connection.execute(
        "select carrier, epoch(delivered_at - sent_at) / 86400 as days from intermediate.int_parcels_current "
        "where delivered_at is not null"
    ).df()
    delays = parcels.groupby("carrier", as_index=False)["days"].agg(
        parcels="size", median_days="median", most_days="max"
    )
    with transaction(connection):
        connection.register("delays", delays)
        connection.execute(f"create or replace table {TABLE} as from delays")
        connection.unregister("delays")
