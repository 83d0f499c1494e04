"""Parcels' own asset: the delays of carriers."""

from collections.abc import Iterator

import dagster as dg

from assets.tables import described, results, table_specs
from resources.warehouse import POOL, Warehouse


@dg.multi_asset(
    specs=table_specs(
        "parcels",
        {"ml.parcel_delays": "How long each carrier takes."},
        ["intermediate/int_parcels_current"],
        ["quintet.parcels.delays"],
    ),
    name="parcel_delays",
    pool=POOL,
)
def parcel_delays(warehouse: Warehouse) -> Iterator[dg.MaterializeResult]:
    """Compute the delays from all parcels."""
    from quintet.parcels.delays import TABLE, write_delays

    with warehouse.get_connection() as connection:
        write_delays(connection)
        facts = described(connection, [TABLE])
    yield from results(facts)


ASSETS = [parcel_delays]
