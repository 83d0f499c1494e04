"""Assets of insurance: normalisation in pandas before dbt, the forecast and the premium report."""

from collections.abc import Iterator

import dagster as dg

from assets.build import rebuilding
from assets.facts import DAILY, DOMAIN_TAG, REPORTS, owners_of
from assets.ingest import raw_key
from assets.publish import SNAPSHOT
from assets.tables import carried_from, described, results, table_specs
from quintet.code_version import code_version
from quintet.insurance.normalise import SOURCES
from quintet.insurance.stage import TABLE, stage_new_batches
from quintet.warehouse.snapshot import current_snapshot, open_snapshot
from resources.paths import Paths
from resources.warehouse import POOL, Warehouse

_NORMALISED = {name: [("raw", "agency_performance", source)] for name, source in SOURCES.items()}
_HISTORY = "intermediate/int_premium_history"
_CARRIED = carried_from({_HISTORY: ["agency_id", "prod_line", "year"]})
_FORECAST_TABLES = {
    "ml.premium_forecast": "Next year's written premium of each agency and line, with bands.",
    "ml.premium_forecast_backtest": "The forecasts of each model for past years unseen by it, and the outcomes.",
    "ml.premium_forecast_scores": "The forecast accuracy of each model, by year and overall.",
}


@dg.asset(
    key=["staging", "stg_agency_performance"],
    deps=[raw_key("agency_performance")],
    group_name="insurance",
    description="Agency performance with types; sentinels replaced by nulls, each with its reason.",
    owners=owners_of("insurance"),
    kinds={"pandas", "duckdb"},
    pool=POOL,
    freshness_policy=DAILY,
    code_version=code_version("quintet.insurance.stage"),
    metadata={"dagster/table_name": TABLE},
)
def stg_agency_performance(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
    """Normalise the batches that are new since the last run."""
    with warehouse.get_connection() as connection:
        with rebuilding(connection, context.assets_def.get_asset_spec()) as code_has_changed:
            added = stage_new_batches(connection, from_scratch=code_has_changed)
        facts = described(connection, [TABLE], _NORMALISED)
    return dg.MaterializeResult(metadata={**facts[TABLE], "rows added": added})


@dg.multi_asset(
    specs=table_specs(
        "insurance",
        _FORECAST_TABLES,
        [_HISTORY],
        ["quintet.insurance.forecast_tables"],
        ("python", "scikitlearn", "duckdb"),
    ),
    name="premium_forecast",
    pool=POOL,
)
def premium_forecast(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[dg.MaterializeResult]:
    """Forecast with the best model of the backtest."""
    from quintet.insurance.forecast import describe
    from quintet.insurance.forecast_tables import TABLES, write_forecast

    with warehouse.get_connection() as connection:
        result = write_forecast(connection)
        facts = described(connection, TABLES, _CARRIED)
    context.log.info(describe(result))
    yield from results(facts, {"model": describe(result)})


@dg.asset(
    key=["reports", "premium"],
    deps=[SNAPSHOT],
    group_name=REPORTS,
    tags={DOMAIN_TAG: "insurance"},
    description="Premium Info by Agency and Product Line over all years, as workbook and CSV in the folder of reports.",
    owners=owners_of("insurance"),
    kinds={"excel", "csv"},
    freshness_policy=DAILY,
    code_version=code_version("quintet.insurance.premium_workbook"),
)
def premium_reports(paths: Paths) -> dg.MaterializeResult:
    """Write the report from the published snapshot."""
    from quintet.insurance.premium_workbook import write_premium_report

    with open_snapshot(current_snapshot(paths.serving)) as snapshot:
        snapshot_id, published_at = snapshot.execute(
            "select snapshot_id, published_at from marts.snapshot"
        ).fetchone() or ("", None)
        written = write_premium_report(snapshot, paths.reports, snapshot_id=snapshot_id, published_at=published_at)
    return dg.MaterializeResult(metadata={path.suffix[1:]: dg.MetadataValue.path(str(path)) for path in written})


STAGED = [stg_agency_performance]
ASSETS = [*STAGED, premium_forecast, premium_reports]
