"""The application's tables, taken from its PostgreSQL into the raw tables before the inboxes are."""

from dataclasses import asdict

import dagster as dg

from assets.facts import DAILY, OWNERS
from quintet.promotions.contract import DATASETS
from resources.clock import Clock
from resources.source import Source
from resources.warehouse import POOL, Warehouse

SOURCE = dg.AssetKey(["source", "promotions"])
SOURCED = frozenset(dataset.name for dataset in DATASETS)
"""The datasets that come from the application's database too."""


ACTIVITY = "activity"
"""The metadata that says up to which activity of the database its rows were taken."""


class SourceConfig(dg.Config):
    """accept_changed_columns: take the tables as they are now, though columns vanished or changed their type."""

    accept_changed_columns: bool = False


@dg.asset(
    key=SOURCE,
    group_name="promotions",
    description="New and changed rows of the application's PostgreSQL, as of one moment; nothing where none is set.",
    owners=OWNERS,
    kinds={"postgres", "duckdb"},
    pool=POOL,
    freshness_policy=DAILY,
    metadata={"dagster/table_name": "ops.source_rows"},
)
def promotions_source(
    context: dg.AssetExecutionContext, config: SourceConfig, source: Source, warehouse: Warehouse, clock: Clock
) -> dg.MaterializeResult:
    """Take what changed in the application's database since the last time."""
    if not source.is_configured:
        return dg.MaterializeResult(metadata={"database": "none is set (QUINTET_POSTGRES_URL)"})
    activity = source.activity(DATASETS)  # before the rows are read: what is written meanwhile is for the next run
    with warehouse.get_connection() as connection:
        done = source.extract(connection, DATASETS, clock.now(), context.log.info, config.accept_changed_columns)
    for one in done:
        context.log.info(
            f"{one.dataset} in PostgreSQL: {one.new:,} new, {one.changed:,} changed, {one.deleted:,} deleted keys; "
            f"{one.rows:,} rows taken, {one.rejected:,} set aside"
        )
    figures = {one.dataset: dg.MetadataValue.json(asdict(one)) for one in done}
    return dg.MaterializeResult(metadata=figures | {ACTIVITY: dg.MetadataValue.text(activity)})
