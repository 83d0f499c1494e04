"""Ingest what the service recorded into the warehouse: one asset for each table that a domain declares."""

import dagster as dg

from assets.facts import DAILY, OWNERS
from quintet.code_version import code_version
from quintet.domains import RECORDED
from quintet.settings import Settings
from quintet.state.recorded import RecordedTable, count_restarts, ingest_recorded
from resources.warehouse import POOL, Warehouse


def build_recorded_asset(table: RecordedTable) -> dg.AssetsDefinition:
    """Return the asset that ingests the rows that the service has added to a table since the last run."""

    @dg.asset(
        key=["ops", table.name],
        group_name=table.group,
        description=table.description,
        owners=OWNERS,
        kinds={"sqlite", "duckdb"},
        pool=POOL,
        freshness_policy=DAILY,
        code_version=code_version("quintet.state.recorded"),
        metadata={"dagster/table_name": f"ops.{table.name}"},
    )
    def recorded(warehouse: Warehouse, settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult:
        with warehouse.get_connection() as connection:
            rows = ingest_recorded(connection, table, settings.state)
            restarts = count_restarts(connection, table)
        return dg.MaterializeResult(metadata={"dagster/row_count": rows, "restarts of the numbering": restarts})

    return recorded


RECORDED_ASSETS = [build_recorded_asset(table) for table in RECORDED]
