"""Conversions' own assets."""

import dagster as dg

from assets.build import code_has_changed
from assets.facts import DAILY, OWNERS
from assets.ingest import raw_key
from quintet.conversions.spellings import TABLE, resolve_new_spellings
from resources.warehouse import POOL, Warehouse


@dg.asset(
    key=["ml", "country_names"],
    deps=[raw_key("conversions"), raw_key("broker_rows")],
    group_name="conversions",
    description="Every spelling of a country that a file ever used, with its ISO code, method and confidence.",
    owners=OWNERS,
    kinds={"python", "duckdb"},
    pool=POOL,
    freshness_policy=DAILY,
    metadata={"dagster/table_name": TABLE},
)
def country_names(warehouse: Warehouse, code: dg.ResourceParam[str]) -> dg.MaterializeResult:
    """Resolve the spellings that came since the last time."""
    with warehouse.get_connection() as connection:
        added = resolve_new_spellings(connection, anew=code_has_changed(connection, code))
        known, unknown = connection.execute(
            f"select count(country_iso2), count(*) - count(country_iso2) from {TABLE}"
        ).fetchone() or (0, 0)
    return dg.MaterializeResult(
        metadata={"dagster/row_count": known + unknown, "spellings added": added, "spellings not recognised": unknown}
    )
