"""What the service recorded, taken into the warehouse."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from assets.facts import DAILY, OWNERS
from quintet.online.abuse_records import judgements_frame, labels_frame
from quintet.online.loan_decisions import DecisionLog
from quintet.online.report_runs import report_runs_frame
from quintet.online.store import Store
from quintet.warehouse.ledger import (
    last_judgement,
    last_loan_decision,
    take_in_judgements,
    take_in_labels,
    take_in_loan_decisions,
    take_in_report_runs,
)
from resources.warehouse import POOL, Warehouse


@dg.asset(
    key=["ops", "report_runs"],
    group_name="ops",
    description="Every report that was run through the service: when, by whom, with what parameters, what came out.",
    owners=OWNERS,
    kinds={"sqlite", "duckdb"},
    pool=POOL,
    freshness_policy=DAILY,
    metadata={"dagster/table_name": "ops.report_runs"},
)
def report_runs(warehouse: Warehouse, online: dg.ResourceParam[Path]) -> dg.MaterializeResult:
    """Take in the runs that came since the last time."""
    store = Store(online)
    try:
        runs = report_runs_frame(store)
    finally:
        store.close()
    with warehouse.get_connection() as connection:
        rows = take_in_report_runs(connection, runs)
    return dg.MaterializeResult(metadata={"dagster/row_count": rows})


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            ["ops", table],
            group_name="ops",
            description=description,
            owners=OWNERS,
            kinds={"sqlite", "duckdb"},
            freshness_policy=DAILY,
            metadata={"dagster/table_name": f"ops.{table}"},
        )
        for table, description in {
            "abuse_judgements": "Every sign-up that the service judged: what was given, what was answered.",
            "abuse_labels": "Every user whom a person confirmed as an abuser or cleared; the next training uses it.",
        }.items()
    ],
    name="abuse_records",
    pool=POOL,
)
def abuse_records(warehouse: Warehouse, online: dg.ResourceParam[Path]) -> Iterator[dg.MaterializeResult]:
    """Take in the judgements and labels that came since the last time."""
    store = Store(online)
    try:
        with warehouse.get_connection() as connection:
            rows = {
                "abuse_judgements": take_in_judgements(
                    connection, judgements_frame(store, after=last_judgement(connection))
                ),
                "abuse_labels": take_in_labels(connection, labels_frame(store)),
            }
    finally:
        store.close()
    for table, count in rows.items():
        yield dg.MaterializeResult(asset_key=["ops", table], metadata={"dagster/row_count": count})


@dg.asset(
    key=["ops", "loan_decisions"],
    group_name="lending",
    description="Every loan decision of the service, with all that made it, from its log.",
    owners=OWNERS,
    kinds={"sqlite", "duckdb"},
    pool=POOL,
    freshness_policy=DAILY,
    metadata={"dagster/table_name": "ops.loan_decisions"},
)
def loan_decisions(warehouse: Warehouse, online: dg.ResourceParam[Path]) -> dg.MaterializeResult:
    """Take in the decisions that came since the last time."""
    log = DecisionLog(online)
    try:
        with warehouse.get_connection() as connection:
            rows = take_in_loan_decisions(connection, log.after(last_loan_decision(connection)))
    finally:
        log.close()
    return dg.MaterializeResult(metadata={"dagster/row_count": rows})
