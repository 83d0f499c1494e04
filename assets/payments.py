"""Payments' own assets: points and incidents, checkout hours, and the detector's report."""

from collections.abc import Iterator

import dagster as dg

from assets.facts import DAILY, OWNERS
from quintet.payments.alert_tables import (
    ALERT_TABLES,
    CHECKOUT_TABLE,
    EVALUATION_TABLES,
    write_alerts,
    write_checkout_anomalies,
    write_evaluation,
)
from resources.warehouse import POOL, Warehouse

_KINDS = {"python", "duckdb"}
_DESCRIPTIONS = {
    "ml.payment_points": "Each series in each minute: what came, what was expected, and how improbable that is.",
    "ml.payment_incidents": "Series that were out of the ordinary for some minutes, with severity, rule and reason.",
    "ml.alert_evaluation": "How many injected incidents each way of detecting finds, and what it makes up.",
    "ml.alert_evaluation_incidents": "Each injected incident and each false episode of that comparison.",
}


def _specs(tables: tuple[str, ...], deps: list[dg.AssetKey]) -> list[dg.AssetSpec]:
    return [
        dg.AssetSpec(
            table.split("."),
            deps=deps,
            group_name="payments",
            description=_DESCRIPTIONS[table],
            owners=OWNERS,
            kinds=_KINDS,
            freshness_policy=DAILY,
            metadata={"dagster/table_name": table},
        )
        for table in tables
    ]


def _results(rows: dict[str, int]) -> Iterator[dg.MaterializeResult]:
    for table, count in rows.items():
        yield dg.MaterializeResult(asset_key=table.split("."), metadata={"dagster/row_count": count})


@dg.multi_asset(
    specs=_specs(ALERT_TABLES, [dg.AssetKey(["marts", "fct_payment_minutes"])]), name="payment_alerts", pool=POOL
)
def payment_alerts(warehouse: Warehouse) -> Iterator[dg.MaterializeResult]:
    """Lead the detector through all minutes."""
    with warehouse.get_connection() as connection:
        rows = write_alerts(connection)
    yield from _results(rows)


@dg.asset(
    key=CHECKOUT_TABLE.split("."),
    deps=[dg.AssetKey(["marts", "fct_checkout_hours"])],
    group_name="payments",
    description="Each checkout hour beside what it should have been, and whether it is out of the ordinary.",
    owners=OWNERS,
    kinds=_KINDS,
    pool=POOL,
    freshness_policy=DAILY,
    metadata={"dagster/table_name": CHECKOUT_TABLE},
)
def checkout_hours_judged(warehouse: Warehouse) -> dg.MaterializeResult:
    """Compare each hour with the days beside it."""
    with warehouse.get_connection() as connection:
        rows = write_checkout_anomalies(connection)
    return dg.MaterializeResult(metadata={"dagster/row_count": rows[CHECKOUT_TABLE]})


@dg.multi_asset(specs=_specs(EVALUATION_TABLES, []), name="alert_evaluation", pool=POOL)
def alert_evaluation(warehouse: Warehouse) -> Iterator[dg.MaterializeResult]:
    """Compare the detector with others where the truth is known; it depends on the code alone."""
    with warehouse.get_connection() as connection:
        rows = write_evaluation(connection)
    yield from _results(rows)
