"""Assets of conversions: country names, matches and the analysis."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.build import rebuilding
from assets.tables import Retraining, row_counts, table_specs
from quintet.conversions.domain import MATCHING_MODEL
from quintet.conversions.frames import COUNTED, COUNTS
from quintet.settings import Settings
from resources.clock import Clock
from resources.paths import Paths
from resources.warehouse import POOL, Warehouse

if TYPE_CHECKING:
    from quintet.conversions.inference import Inference

_MATCHING_TABLES = {
    "matching.matches": "Each conversion with its broker row, the probability, and whether it is matched or in review.",
    "matching.unmatched_conversions": "The conversions without a match, with the reason.",
    "matching.unmatched_broker_rows": "The broker rows without a match, with the reason.",
    "ml.matching_summary": "The expected quality of the active model, and the number of its matches.",
    "ml.matching_clocks": "The clock of each partner, as trained.",
    "ml.matching_lags": "The lag from conversion to broker row, as trained.",
    "ml.matching_weights": "How well each country field separates links from rows without one.",
    "ml.matching_calibration": "The calibration curve of probabilities, from simulated links.",
    "ml.matching_certainty": "The matches by their probability.",
    "ml.matching_placebo": "The same matching with the conversions moved by hours, where every match is false.",
    "ml.matching_changes": "The differences between the active model and the version before it.",
    "ml.matching_model": "The active model: its version, and when and why it was trained.",
}
_ANALYSIS_TABLES = {
    "ml.conversion_rates": "Match rate and scores by country, day, device, page and element, against the rest.",
    "ml.conversion_residency": "How often the residency differs from the IP country, by IP country.",
    "ml.conversion_residency_summary": "Broker rows by whether residency and IP country agree, with their scores.",
    "ml.conversion_findings": "Differences that hold, ranked by the customers that they are worth.",
    "ml.conversion_session_scores": "Whether rows of one session share their score.",
    "ml.conversion_insights": "The findings that pass their tests.",
}


[_COUNTRIES] = table_specs(
    "conversions",
    {"staging.stg_country_names": "Every spelling of a country in any file, with its code and confidence."},
    ["raw/conversions", "raw/broker_rows"],
    ["quintet.conversions.spellings"],
)


@dg.multi_asset(specs=[_COUNTRIES], name="stg_country_names", pool=POOL)
def country_names(warehouse: Warehouse) -> dg.MaterializeResult:
    """Resolve the spellings that are new since the last run."""
    from quintet.conversions.spellings import TABLE, resolve_new_spellings

    with warehouse.get_connection() as connection:
        with rebuilding(connection, _COUNTRIES) as code_has_changed:
            added = resolve_new_spellings(connection, from_scratch=code_has_changed)
        known, unknown = connection.execute(
            f"select count(country_iso2), count(*) - count(country_iso2) from {TABLE}"
        ).fetchone() or (0, 0)
    return dg.MaterializeResult(
        asset_key=_COUNTRIES.key,
        metadata={"dagster/row_count": known + unknown, "spellings added": added, "spellings not recognised": unknown},
    )


def _inference(settings: Settings) -> "Inference":
    if settings.engine == "duckdb":
        from quintet.conversions.inference import infer_here

        return infer_here
    from quintet.conversions.spark_inference import infer_on
    from quintet.spark.groups import cluster_of

    return infer_on(cluster_of(settings))


_MATCHING = table_specs(
    "conversions",
    _MATCHING_TABLES,
    ["intermediate/int_conversions", "intermediate/int_broker_rows", "ops/pair_verdicts"],
    ["quintet.conversions.matching_run"],
)


@dg.multi_asset(
    specs=_MATCHING,
    name="matching",
    pool=POOL,
)
def matching(
    context: dg.AssetExecutionContext,
    config: Retraining,
    warehouse: Warehouse,
    clock: Clock,
    paths: Paths,
    settings: dg.ResourceParam[Settings],
) -> Iterator[dg.MaterializeResult]:
    """Match the days that have changed; train a model first where there is none, or where `retrain` is set."""
    from quintet.conversions.matching_run import MATCH_TABLES, REPORT_TABLES, run_matching

    registry = MATCHING_MODEL.registry(paths.models)
    with warehouse.get_connection() as connection:
        outcome = run_matching(
            connection,
            registry,
            clock.now(),
            str(_MATCHING[0].code_version),
            retrain=config.retrain,
            inference=_inference(settings),
            log=context.log.info,
        )
        rows = row_counts(connection, (*MATCH_TABLES, *REPORT_TABLES))
        summary = dict(connection.execute("select figure, value from ml.matching_summary").fetchall())
    more = {
        "ml.matching_summary": {
            "days": outcome.run.blocks,
            "days rematched": outcome.run.blocks_rematched,
            "engine": settings.engine,
            **{name: value for name, value in summary.items() if value is not None},
        },
        "ml.matching_model": {
            "model": outcome.model.version,
            "trained": outcome.training_reason or "no: the active model stays",
        },
    }
    for table, count in rows.items():
        yield dg.MaterializeResult(
            asset_key=table.split("."), metadata={"dagster/row_count": count, **more.get(table, {})}
        )


@dg.multi_asset(
    specs=table_specs(
        "conversions",
        _ANALYSIS_TABLES,
        [f"ml/conversion_{name}" for name in (*COUNTED, *COUNTS)],
        ["quintet.conversions.analysis_tables"],
    ),
    name="conversion_analysis",
    pool=POOL,
)
def conversion_analysis(warehouse: Warehouse) -> Iterator[dg.MaterializeResult]:
    """Compare every level with the rest among its equals, and write the findings."""
    from quintet.conversions.analysis_tables import TABLES, write_analysis

    with warehouse.get_connection() as connection:
        analysis = write_analysis(connection)
        rows = row_counts(connection, TABLES)
    more: dict[str, dict[str, Any]] = {
        "ml.conversion_rates": {
            "comparisons": int(analysis.rates["p_value"].notna().sum()),
            "findings": int(analysis.rates["is_finding"].sum()),
        },
        "ml.conversion_insights": {
            "sentences": dg.MetadataValue.md(
                "\n".join(f"- **{insight.lead}** {insight.text}" for insight in analysis.insights)
            ),
        },
    }
    for table, count in rows.items():
        yield dg.MaterializeResult(
            asset_key=table.split("."), metadata={"dagster/row_count": count, **more.get(table, {})}
        )


STAGED = [country_names]
ASSETS = [*STAGED, matching, conversion_analysis]
