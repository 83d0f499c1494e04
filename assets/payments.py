"""Payments' own assets: points, incidents, checkout hours, the detector's report; the paper and who is told."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg

from assets.facts import DAILY, DOMAIN_TAG, EVALUATIONS, OWNERS, REPORTS
from assets.publish import SNAPSHOT
from quintet.warehouse.snapshot import current_snapshot, open_snapshot
from resources.clock import Clock
from resources.notifier import Notifier
from resources.warehouse import POOL, Warehouse

_COMPARISON_SQL = (
    Path(__file__).parents[1] / "dbt_project" / "models" / "marts" / "payments" / "fct_checkout_comparison.sql"
)

_KINDS = {"python", "duckdb"}
_ALERT_TABLES = {
    "ml.payment_points": "Each series in each minute: what came, what was expected, and how improbable that is.",
    "ml.payment_incidents": "Series that were out of the ordinary for some minutes, with severity, rule and reason.",
}
_CHECKOUT_TABLE = "ml.checkout_anomalies"
_EVALUATION_TABLES = {
    "ml.alert_evaluation": "How many injected incidents each way of detecting finds, and what it makes up.",
    "ml.alert_evaluation_incidents": "Each injected incident and each false episode of that comparison.",
}


def _specs(tables: Mapping[str, str], deps: list[dg.AssetKey]) -> list[dg.AssetSpec]:
    return [
        dg.AssetSpec(
            table.split("."),
            deps=deps,
            group_name="payments",
            description=description,
            owners=OWNERS,
            kinds=_KINDS,
            freshness_policy=DAILY,
            metadata={"dagster/table_name": table},
        )
        for table, description in tables.items()
    ]


def _results(rows: Mapping[str, int]) -> Iterator[dg.MaterializeResult]:
    for table, count in rows.items():
        yield dg.MaterializeResult(asset_key=table.split("."), metadata={"dagster/row_count": count})


@dg.multi_asset(
    specs=_specs(_ALERT_TABLES, [dg.AssetKey(["intermediate", "int_payment_minutes"])]),
    name="payment_alerts",
    pool=POOL,
)
def payment_alerts(warehouse: Warehouse) -> Iterator[dg.MaterializeResult]:
    """Lead the detector through all minutes."""
    from quintet.payments.alert_tables import write_alerts

    with warehouse.get_connection() as connection:
        rows = write_alerts(connection)
    yield from _results(rows)


@dg.asset(
    key=_CHECKOUT_TABLE.split("."),
    deps=[dg.AssetKey(["intermediate", "int_checkout_hours"])],
    group_name="payments",
    description="Each checkout hour beside what it should have been, and whether it is out of the ordinary.",
    owners=OWNERS,
    kinds=_KINDS,
    pool=POOL,
    freshness_policy=DAILY,
    metadata={"dagster/table_name": _CHECKOUT_TABLE},
)
def checkout_hours_judged(warehouse: Warehouse) -> dg.MaterializeResult:
    """Compare each hour with the days beside it."""
    from quintet.payments.alert_tables import CHECKOUT_TABLE, write_checkout_anomalies

    with warehouse.get_connection() as connection:
        rows = write_checkout_anomalies(connection)
    return dg.MaterializeResult(metadata={"dagster/row_count": rows[CHECKOUT_TABLE]})


@dg.multi_asset(specs=_specs(_EVALUATION_TABLES, []), name="alert_evaluation", pool=POOL)
def alert_evaluation(warehouse: Warehouse, models: dg.ResourceParam[Path]) -> Iterator[dg.MaterializeResult]:
    """Compare the detector with others where the truth is known; it depends on the code alone."""
    from quintet.payments.alert_tables import write_evaluation

    with warehouse.get_connection() as connection:
        rows = write_evaluation(connection, models / EVALUATIONS)
    yield from _results(rows)


@dg.asset(
    key=["reports", "checkout_analysis"],
    deps=[SNAPSHOT],
    group_name=REPORTS,
    tags={DOMAIN_TAG: "payments"},
    description="The checkout days beside their references, with the SQL and a sentence for each hour that stands out.",
    owners=OWNERS,
    kinds={"pdf"},
    freshness_policy=DAILY,
)
def checkout_analysis(warehouse: Warehouse, reports: dg.ResourceParam[Path]) -> dg.MaterializeResult:
    """Write the paper from the snapshot that was just published."""
    from quintet.payments.checkout_report import write_checkout_report

    with open_snapshot(current_snapshot(Path(warehouse.serving))) as snapshot:
        path = write_checkout_report(snapshot, reports, _COMPARISON_SQL.read_text("utf-8"))
    return dg.MaterializeResult(metadata={"pdf": dg.MetadataValue.path(str(path))})


@dg.asset(
    key=["notifications", "payments"],
    deps=[SNAPSHOT],
    group_name=REPORTS,
    tags={DOMAIN_TAG: "payments"},
    description="Messages about incidents that this run found in files and that nobody was told of.",
    owners=OWNERS,
    kinds={"sqlite"},
    freshness_policy=DAILY,
)
def payment_notifications(
    warehouse: Warehouse, clock: Clock, notifier: dg.ResourceParam[Notifier]
) -> dg.MaterializeResult:
    """Tell of new incidents, through the same outbox as the service."""
    with open_snapshot(current_snapshot(Path(warehouse.serving))) as snapshot:
        incidents = snapshot.execute("from marts.fct_payment_incidents").df()
    return dg.MaterializeResult(metadata={"incidents told": notifier.tell_of_incidents(incidents, clock.now())})
