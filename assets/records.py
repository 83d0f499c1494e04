"""What the service recorded, taken into the warehouse."""

from pathlib import Path

import dagster as dg

from assets.facts import DAILY, OWNERS
from quintet.online.report_runs import report_runs_frame
from quintet.online.store import Store
from quintet.warehouse.ledger import take_in_report_runs
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
