"""Payments' own assets: points, incidents, checkout hours, the detector's report; the paper and who is told."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from assets.facts import DAILY, DOMAIN_TAG, EVALUATIONS, OWNERS, REPORTS
from assets.publish import SNAPSHOT
from assets.tables import results, table_specs
from quintet.code_version import code_version
from quintet.warehouse.snapshot import current_snapshot, open_snapshot
from resources.clock import Clock
from resources.notifier import Notifier
from resources.warehouse import POOL, Warehouse

_COMPARISON_SQL = (
    Path(__file__).parents[1] / "dbt_project" / "models" / "marts" / "payments" / "fct_checkout_comparison.sql"
)

_MODULES = ["quintet.payments.alert_tables"]
_ALERT_TABLES = {
    "ml.payment_points": "Each series in each minute: what came, what was expected, and how improbable that is.",
    "ml.payment_incidents": "Series that were out of the ordinary for some minutes, with severity, rule and reason.",
}
_CHECKOUT_TABLES = {
    "ml.checkout_anomalies": "Each checkout hour beside what was expected, and whether it is anomalous.",
}
_EVALUATION_TABLES = {
    "ml.alert_evaluation": "How many injected incidents each way of detecting finds, and what it makes up.",
    "ml.alert_evaluation_incidents": "Each injected incident and each false episode of that comparison.",
}


@dg.multi_asset(
    specs=table_specs("payments", _ALERT_TABLES, ["intermediate/int_payment_minutes"], _MODULES),
    name="payment_alerts",
    pool=POOL,
)
def payment_alerts(warehouse: Warehouse) -> Iterator[dg.MaterializeResult]:
    """Lead the detector through all minutes."""
    from quintet.payments.alert_tables import write_alerts

    with warehouse.get_connection() as connection:
        rows = write_alerts(connection)
    yield from results(rows)


@dg.multi_asset(
    specs=table_specs("payments", _CHECKOUT_TABLES, ["intermediate/int_checkout_hours"], _MODULES),
    name="checkout_anomalies",
    pool=POOL,
)
def checkout_hours_judged(warehouse: Warehouse) -> Iterator[dg.MaterializeResult]:
    """Compare each hour with the days beside it."""
    from quintet.payments.alert_tables import write_checkout_anomalies

    with warehouse.get_connection() as connection:
        rows = write_checkout_anomalies(connection)
    yield from results(rows)


@dg.multi_asset(specs=table_specs("payments", _EVALUATION_TABLES, [], _MODULES), name="alert_evaluation", pool=POOL)
def alert_evaluation(warehouse: Warehouse, models: dg.ResourceParam[Path]) -> Iterator[dg.MaterializeResult]:
    """Compare the detector with others where the truth is known; it depends on the code alone."""
    from quintet.payments.alert_tables import write_evaluation

    with warehouse.get_connection() as connection:
        rows = write_evaluation(connection, models / EVALUATIONS)
    yield from results(rows)


@dg.asset(
    key=["reports", "checkout_analysis"],
    deps=[SNAPSHOT],
    group_name=REPORTS,
    tags={DOMAIN_TAG: "payments"},
    description="The checkout days beside their references, with the SQL and a sentence for each hour that stands out.",
    owners=OWNERS,
    kinds={"pdf"},
    freshness_policy=DAILY,
    code_version=code_version("quintet.payments.checkout_report"),
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


ASSETS = [
    payment_alerts,
    checkout_hours_judged,
    alert_evaluation,
    checkout_analysis,
    payment_notifications,
]
