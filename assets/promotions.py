"""Promotions' own assets: the model of abuse with its card, and the score of every account."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import dagster as dg
import duckdb

from assets.facts import DAILY, OWNERS
from resources.clock import Clock
from resources.warehouse import POOL, Warehouse

_ACCOUNTS = [dg.AssetKey(["intermediate", f"int_promo_{name}_current"]) for name in ("users", "usages")]
_MODEL_TABLES = {
    "ml.abuse_model": "The model of promo-code abuse that is in force, with the policy that goes with it.",
    "ml.abuse_trainings": "Every training: what it learnt from, whether it came into force, how far scores moved.",
    "ml.abuse_model_figures": "What the scores are worth on labelled accounts that were held back, with intervals.",
    "ml.abuse_model_thresholds": "How many each threshold flags, and how precisely.",
    "ml.abuse_model_curve": "Precision and recall over all thresholds.",
    "ml.abuse_model_weights": "What each piece of evidence adds to the log-odds.",
    "ml.abuse_model_groups": "How accounts fare by whom they share an address with.",
}
_SCORE_TABLES = {
    "ml.abuse_scores": "The score of every account with decision, reasons and cluster.",
    "ml.abuse_links": "Pairs of accounts that look like one person's.",
    "ml.abuse_shared_keys": "What the accounts of a cluster have in common.",
    "ml.abuse_evidence": "The evidence behind every score, from 0 up.",
}


def _specs(tables: Mapping[str, str], deps: list[dg.AssetKey]) -> list[dg.AssetSpec]:
    return [
        dg.AssetSpec(
            table.split("."),
            deps=deps,
            group_name="promotions",
            description=description,
            owners=OWNERS,
            kinds={"python", "scikitlearn", "duckdb"},
            freshness_policy=DAILY,
            metadata={"dagster/table_name": table},
        )
        for table, description in tables.items()
    ]


@dg.multi_asset(
    specs=_specs(_MODEL_TABLES, [*_ACCOUNTS, dg.AssetKey(["ops", "abuse_labels"])]), name="abuse_model", pool=POOL
)
def abuse_model(
    context: dg.AssetExecutionContext, warehouse: Warehouse, clock: Clock, models: dg.ResourceParam[Path]
) -> Iterator[dg.MaterializeResult]:
    """Learn from the labels; what was learnt comes into force only where it is not clearly worse than what there is."""
    from quintet.promotions.models import registry_of
    from quintet.promotions.policy import read_policy
    from quintet.promotions.result_tables import MODEL_TABLES, train_model

    with warehouse.get_connection() as connection:
        registry = registry_of(models)
        trained = train_model(connection, registry, read_policy(), clock.now())
        rows = _row_counts(connection, MODEL_TABLES)
    choice = trained.choice
    context.log.info(f"abuse model in force: {choice.model.version}; {choice.why}")
    for table, count in rows.items():
        yield dg.MaterializeResult(
            asset_key=table.split("."),
            metadata={
                "dagster/row_count": count,
                "model": choice.model.version,
                "why": choice.why,
                "sha256": trained.kept.sha256,
                "folder": dg.MetadataValue.path(str(registry.folder)),
            },
        )


@dg.multi_asset(
    specs=_specs(_SCORE_TABLES, [*_ACCOUNTS, dg.AssetKey(["ml", "abuse_model"])]), name="abuse_scores", pool=POOL
)
def abuse_scores(warehouse: Warehouse, models: dg.ResourceParam[Path]) -> Iterator[dg.MaterializeResult]:
    """Score every account with the model in force."""
    from quintet.promotions.models import registry_of
    from quintet.promotions.policy import read_policy
    from quintet.promotions.result_tables import SCORE_TABLES, write_scores

    with warehouse.get_connection() as connection:
        result = write_scores(connection, registry_of(models), read_policy())
        rows = _row_counts(connection, SCORE_TABLES)
    decisions = {name: int(count) for name, count in result.scores["decision"].value_counts().items()}
    for table, count in rows.items():
        yield dg.MaterializeResult(
            asset_key=table.split("."), metadata={"dagster/row_count": count, "decisions": decisions}
        )


def _row_counts(connection: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> dict[str, int]:
    counts = {table: connection.execute(f"select count(*) from {table}").fetchall() for table in tables}
    return {table: int(count) for table, ((count,),) in counts.items()}
