"""Assets of conversions: country names, matches and the analysis."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.build import rebuilding
from assets.tables import Retraining, carried_from, described, described_by, table_specs
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
_PAIRED = ["intermediate/int_conversions", "intermediate/int_broker_rows"]
_MATCHED = carried_from({_PAIRED[0]: ["conversion_id"], _PAIRED[1]: ["broker_row_id", "partner"]})
_ANALYSIS_TABLES = {
    "ml.conversion_rates": "Match rate and scores by country, day, device, page and element, against the rest.",
    "ml.conversion_residency": "How often the residency differs from the IP country, by IP country.",
    "ml.conversion_residency_summary": "Broker rows by whether residency and IP country agree, with their scores.",
    "ml.conversion_findings": "Differences that hold, ranked by the customers that they are worth.",
    "ml.conversion_session_scores": "Whether rows of one session share their score.",
    "ml.conversion_insights": "The findings that pass their tests.",
}
_COUNTED = {
    "ml.conversion_rates": carried_from({"ml/conversion_cells": ["measure", "dimension", "level"]}),
    "ml.conversion_residency": carried_from({"ml/conversion_residency_counts": ["ip_iso2", "n", "commonest"]}),
    "ml.conversion_residency_summary": carried_from({"ml/conversion_residency_case_counts": ["level", "rows"]}),
    "ml.conversion_session_scores": carried_from(
        {"ml/conversion_session_counts": ["sessions", "with_important", "all_important", "important_share"]}
    ),
}
"""What each table of the analysis carries over from the counts."""


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
        [(unknown,)] = connection.execute(f"select count(*) - count(country_iso2) from {TABLE}").fetchall()
        facts = described(connection, [TABLE])
    return dg.MaterializeResult(
        asset_key=_COUNTRIES.key,
        metadata={**facts[TABLE], "spellings added": added, "spellings not recognised": unknown},
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
    [*_PAIRED, "ops/pair_verdicts"],
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
        facts = described(connection, (*MATCH_TABLES, *REPORT_TABLES), _MATCHED)
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
    for table, known in facts.items():
        yield dg.MaterializeResult(asset_key=table.split("."), metadata={**known, **more.get(table, {})})


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
        facts = described_by(connection, {table: _COUNTED.get(table, {}) for table in TABLES})
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
    for table, known in facts.items():
        yield dg.MaterializeResult(asset_key=table.split("."), metadata={**known, **more.get(table, {})})


STAGED = [country_names]
ASSETS = [*STAGED, matching, conversion_analysis]
