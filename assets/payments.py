"""Payments' own assets: points, incidents, checkout hours, the detector's evaluation, the report, notifications."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from assets.facts import DAILY, DOMAIN_TAG, EVALUATIONS, REPORTS, owners_of
from assets.publish import SNAPSHOT
from assets.tables import carried_from, described, results, table_specs
from quintet.code_version import code_version
from quintet.warehouse.snapshot import current_snapshot, open_snapshot
from resources.clock import Clock
from resources.notifier import Notifier
from resources.paths import Paths
from resources.warehouse import POOL, Warehouse

_COMPARISON_SQL = (
    Path(__file__).parents[1] / "dbt_project" / "models" / "marts" / "payments" / "fct_checkout_comparison.sql"
)

_MODULES = ["quintet.payments.alert_tables"]
_MINUTES = ["intermediate/int_payment_minutes", "intermediate/int_payment_hours"]
_BY_VALUE = ["intermediate/int_transactions_current", "intermediate/int_payment_settings"]
_RULES = ["ops/rule_changes", "ops/rule_list_entries"]
_CHECKOUT_HOURS = ["intermediate/int_checkout_hours", "intermediate/int_payment_hours"]
_CARRIED = carried_from({_MINUTES[0]: ["minute_at"], _CHECKOUT_HOURS[0]: ["source_file", "hour"]})
_ALERT_TABLES = {
    "ml.payment_points": "Each series in each minute: observed and expected count, and how improbable they are.",
    "ml.payment_incident_values": "Values of dimensions that explain incidents, with share and probability.",
    "ml.payment_incidents": "Series that were anomalous for some minutes, with severity, rule and reason.",
}
_CHECKOUT_TABLES = {
    "ml.checkout_anomalies": "Observed and expected sales of each checkout hour, and whether the hour is anomalous.",
}
_EVALUATION_TABLES = {
    "ml.alert_evaluation": "How many injected incidents each detector finds, and how many false alarms it raises.",
    "ml.alert_evaluation_incidents": "Each injected incident and each false alarm of that comparison.",
}


@dg.multi_asset(
    specs=table_specs("payments", _ALERT_TABLES, [*_MINUTES, *_BY_VALUE, *_RULES], _MODULES),
    name="payment_alerts",
    pool=POOL,
)
def payment_alerts(warehouse: Warehouse) -> Iterator[dg.MaterializeResult]:
    """Run the detector over all minutes."""
    from quintet.payments.alert_tables import write_alerts

    with warehouse.get_connection() as connection:
        facts = described(connection, write_alerts(connection), _CARRIED)
    yield from results(facts)


@dg.multi_asset(
    specs=table_specs("payments", _CHECKOUT_TABLES, _CHECKOUT_HOURS, _MODULES),
    name="checkout_anomalies",
    pool=POOL,
)
def checkout_hours_judged(warehouse: Warehouse) -> Iterator[dg.MaterializeResult]:
    """Compare each checkout hour with its reference days."""
    from quintet.payments.alert_tables import write_checkout_anomalies

    with warehouse.get_connection() as connection:
        facts = described(connection, write_checkout_anomalies(connection), _CARRIED)
    yield from results(facts)


@dg.multi_asset(specs=table_specs("payments", _EVALUATION_TABLES, [], _MODULES), name="alert_evaluation", pool=POOL)
def alert_evaluation(warehouse: Warehouse, paths: Paths) -> Iterator[dg.MaterializeResult]:
    """Compare the detector with others on generated days; the result depends on the code alone."""
    from quintet.payments.alert_tables import write_evaluation

    with warehouse.get_connection() as connection:
        facts = described(connection, write_evaluation(connection, paths.models / EVALUATIONS))
    yield from results(facts)


@dg.asset(
    key=["reports", "checkout_analysis"],
    deps=[SNAPSHOT],
    group_name=REPORTS,
    tags={DOMAIN_TAG: "payments"},
    description="Each checkout day beside its reference days, a sentence for each anomalous hour, and the SQL.",
    owners=owners_of("payments"),
    kinds={"pdf"},
    freshness_policy=DAILY,
    code_version=code_version("quintet.payments.checkout_report"),
)
def checkout_analysis(paths: Paths) -> dg.MaterializeResult:
    """Write the report from the snapshot that was just published."""
    from quintet.payments.checkout_report import write_checkout_report

    with open_snapshot(current_snapshot(paths.serving)) as snapshot:
        path = write_checkout_report(snapshot, paths.reports, _COMPARISON_SQL.read_text("utf-8"), paths.report_page)
    return dg.MaterializeResult(metadata={"pdf": dg.MetadataValue.path(str(path))})


@dg.asset(
    key=["notifications", "payments"],
    deps=[SNAPSHOT],
    group_name=REPORTS,
    tags={DOMAIN_TAG: "payments"},
    description="Notifications about incidents that this run found in files and that were not reported before.",
    owners=owners_of("payments"),
    kinds={"sqlite"},
    freshness_policy=DAILY,
)
def payment_notifications(paths: Paths, clock: Clock, notifier: dg.ResourceParam[Notifier]) -> dg.MaterializeResult:
    """Notify the team of new incidents, through the same outbox as the service."""
    with open_snapshot(current_snapshot(paths.serving)) as snapshot:
        incidents = snapshot.execute("from marts.fct_payment_incidents").df()
    return dg.MaterializeResult(metadata={"incidents reported": notifier.tell_of_incidents(incidents, clock.now())})


ASSETS = [
    payment_alerts,
    checkout_hours_judged,
    alert_evaluation,
    checkout_analysis,
    payment_notifications,
]
