"""Insurance's own assets: what its brief wants in pandas before dbt takes over."""

import dagster as dg

from assets.build import code_has_changed
from assets.facts import DAILY, OWNERS
from assets.ingest import raw_key
from quintet.insurance.normalise import STAGING_COLUMNS
from quintet.insurance.stage import TABLE, stage_new_batches
from resources.warehouse import POOL, Warehouse


@dg.asset(
    key=["staging", "stg_agency_performance"],
    deps=[raw_key("agency_performance")],
    group_name="insurance",
    description="Agency performance with types; sentinels turned to nulls, each with the reason why it is missing.",
    owners=OWNERS,
    kinds={"pandas", "duckdb"},
    pool=POOL,
    freshness_policy=DAILY,
    metadata={
        "dagster/table_name": TABLE,
        "dagster/column_schema": dg.TableSchema(
            [dg.TableColumn(name, kind.lower()) for name, kind in STAGING_COLUMNS.items()]
        ),
    },
)
def stg_agency_performance(warehouse: Warehouse, code: dg.ResourceParam[str]) -> dg.MaterializeResult:
    """Normalise the batches that came since the last time."""
    with warehouse.get_connection() as connection:
        added = stage_new_batches(connection, anew=code_has_changed(connection, code))
        (rows,) = connection.execute(f"select count(*) from {TABLE}").fetchone() or (0,)
    return dg.MaterializeResult(metadata={"dagster/row_count": rows, "rows added": added})
