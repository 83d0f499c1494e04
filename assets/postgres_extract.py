"""Extract the application's tables from its PostgreSQL into the raw tables, before the inboxes are loaded."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import dagster as dg

from assets.facts import DAILY, owners_of
from quintet.postgres_extract.postgres import ExtractError
from quintet.promotions.contract import DATASETS
from resources.clock import Clock
from resources.postgres_extract import PostgresExtract
from resources.warehouse import POOL, Warehouse

SOURCE = dg.AssetKey(["source", "promotions"])
SOURCED = frozenset(dataset.name for dataset in DATASETS)
"""The datasets that the application's database has too."""


ACTIVITY = "activity"
"""The metadata key for the activity of the database up to which rows were extracted."""


class ExtractConfig(dg.Config):
    """accept_changed_columns: extract the tables although columns vanished or changed their type."""

    accept_changed_columns: bool = False


@dg.asset(
    key=SOURCE,
    group_name="promotions",
    description="New and changed rows of the application's PostgreSQL, of one moment; no rows if none is set.",
    owners=owners_of("promotions"),
    kinds={"postgres", "duckdb"},
    pool=POOL,
    freshness_policy=DAILY,
    metadata={"dagster/table_name": "ops.source_rows"},
    check_specs=[dg.AssetCheckSpec("extracted", asset=SOURCE, description="The application's database could be read.")],
)
def promotions_extract(
    context: dg.AssetExecutionContext,
    config: ExtractConfig,
    postgres_extract: dg.ResourceParam[PostgresExtract],
    warehouse: Warehouse,
    clock: Clock,
) -> dg.MaterializeResult:
    """Extract what changed since the last time. If that fails, the last good rows stay and a check fails."""
    if not postgres_extract.is_configured:
        return _result({"database": "none is set (QUINTET_POSTGRES_URL)"})
    try:
        activity = postgres_extract.activity(DATASETS)  # before the rows are read: later writes are for the next run
        with warehouse.get_connection() as connection:
            done = postgres_extract.extract(
                connection, DATASETS, clock.now(), context.log.info, config.accept_changed_columns
            )
    except ExtractError as error:
        return _result({"database": "could not be read"}, str(error))
    if not done:
        return _result({"database": "has no table of promotions"})
    for one in done:
        context.log.info(
            f"{one.dataset} in PostgreSQL: {one.new:,} new, {one.changed:,} changed, {one.deleted:,} deleted keys; "
            f"{one.rows:,} rows extracted, {one.rejected:,} rejected"
        )
    figures = {one.dataset: dg.MetadataValue.json(asdict(one)) for one in done}
    return _result(figures | {ACTIVITY: dg.MetadataValue.text(activity)})


def _result(metadata: Mapping[str, Any], failure: str | None = None) -> dg.MaterializeResult:
    check = dg.AssetCheckResult(
        passed=failure is None, check_name="extracted", description=failure or "the database could be read"
    )
    return dg.MaterializeResult(metadata=metadata, check_results=[check])


ASSETS = [promotions_extract]
