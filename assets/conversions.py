"""Conversions' own assets: the countries before the models, the matches behind them."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from assets.build import code_has_changed
from assets.facts import DAILY, OWNERS
from assets.ingest import raw_key
from resources.clock import Clock
from resources.warehouse import POOL, Warehouse

_COUNTRY_NAMES = "ml.country_names"
_MATCHING_TABLES = {
    "matching.matches": "Which click became which broker row, how surely, and whether it counts or is for review.",
    "matching.unmatched_conversions": "The clicks without a match, with the reason.",
    "matching.unmatched_broker_rows": "The broker rows without a match, with the reason.",
    "ml.matching_report": "What the model has learned, how good its matches are, and its placebo rate.",
}


@dg.asset(
    key=_COUNTRY_NAMES.split("."),
    deps=[raw_key("conversions"), raw_key("broker_rows")],
    group_name="conversions",
    description="Every spelling of a country that a file ever used, with its ISO code, method and confidence.",
    owners=OWNERS,
    kinds={"python", "duckdb"},
    pool=POOL,
    freshness_policy=DAILY,
    metadata={"dagster/table_name": _COUNTRY_NAMES},
)
def country_names(warehouse: Warehouse, code: dg.ResourceParam[str]) -> dg.MaterializeResult:
    """Resolve the spellings that came since the last time."""
    from quintet.conversions.spellings import TABLE, resolve_new_spellings

    with warehouse.get_connection() as connection:
        added = resolve_new_spellings(connection, anew=code_has_changed(connection, code))
        known, unknown = connection.execute(
            f"select count(country_iso2), count(*) - count(country_iso2) from {TABLE}"
        ).fetchone() or (0, 0)
    return dg.MaterializeResult(
        metadata={"dagster/row_count": known + unknown, "spellings added": added, "spellings not recognised": unknown}
    )


class Learning(dg.Config):
    """How a model is chosen."""

    learn_anew: bool = False


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            table.split("."),
            deps=[dg.AssetKey(["marts", "fct_conversions"]), dg.AssetKey(["marts", "fct_broker_rows"])],
            group_name="conversions",
            description=description,
            owners=OWNERS,
            kinds={"python", "duckdb"},
            freshness_policy=DAILY,
            metadata={"dagster/table_name": table},
        )
        for table, description in _MATCHING_TABLES.items()
    ],
    name="matching",
    pool=POOL,
)
def matching(
    context: dg.AssetExecutionContext,
    config: Learning,
    warehouse: Warehouse,
    clock: Clock,
    models: dg.ResourceParam[Path],
    code: dg.ResourceParam[str],
) -> Iterator[dg.MaterializeResult]:
    """Match the days that have changed; learn a model first where there is none, or a new one is asked for."""
    from quintet.conversions.matching_run import MATCH_TABLES, REPORT_TABLES, SCHEMA, run_matching
    from quintet.registry import ModelRegistry

    registry = ModelRegistry(models / "conversions")
    with warehouse.get_connection() as connection:
        outcome = run_matching(
            connection, registry, clock.now(), code, learn_anew=config.learn_anew, log=context.log.info
        )
        rows = {
            table: connection.execute(f"select count(*) from {SCHEMA}.{table}").fetchall()[0][0]
            for table in MATCH_TABLES
        }
        summary = dict(connection.execute("select figure, value from ml.matching_summary").fetchall())
    for table in MATCH_TABLES:
        yield dg.MaterializeResult(asset_key=[SCHEMA, table], metadata={"dagster/row_count": rows[table]})
    yield dg.MaterializeResult(
        asset_key=["ml", "matching_report"],
        metadata={
            "model": outcome.model.version,
            "learned": outcome.learned or "no: the model in force stays",
            "days": outcome.run.blocks,
            "days matched anew": outcome.run.blocks_matched_anew,
            "tables": ", ".join(f"ml.matching_{name}" for name in REPORT_TABLES),
            **{name: value for name, value in summary.items() if value is not None},
        },
    )


@dg.asset(
    key=["ml", "conversion_analysis"],
    deps=[
        *(dg.AssetKey(["marts", table]) for table in ("fct_unified_journeys", "fct_unmatched_broker_rows")),
        dg.AssetKey(["marts", "unmapped_page_categories"]),
    ],
    group_name="conversions",
    description="Funnel, rates by country, day, device, page and element, and the sentences whose tests hold.",
    owners=OWNERS,
    kinds={"python", "duckdb"},
    pool=POOL,
    freshness_policy=DAILY,
)
def conversion_analysis(warehouse: Warehouse) -> dg.MaterializeResult:
    """Compare every level with the rest among its equals, and say what holds."""
    from quintet.conversions.analysis_tables import TABLES, write_analysis

    with warehouse.get_connection() as connection:
        analysis = write_analysis(connection)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(analysis.rates),
            "comparisons": int(analysis.rates["p_value"].notna().sum()),
            "findings": int(analysis.rates["is_finding"].sum()),
            "tables": ", ".join(TABLES),
            "sentences": dg.MetadataValue.md(
                "\n".join(f"- **{insight.lead}** {insight.text}" for insight in analysis.insights)
            ),
        }
    )
