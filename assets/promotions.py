"""Promotions' own assets: the model of abuse with its card, and the score of every account."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from assets.tables import results, row_counts, table_specs
from resources.clock import Clock
from resources.warehouse import POOL, Warehouse

_ACCOUNTS = ["intermediate/int_promo_users_current", "intermediate/int_promo_usages_current"]
_MODULES = ["quintet.promotions.result_tables"]
_KINDS = ("python", "scikitlearn", "duckdb")
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


@dg.multi_asset(
    specs=table_specs("promotions", _MODEL_TABLES, [*_ACCOUNTS, "ops/abuse_labels"], _MODULES, _KINDS),
    name="abuse_model",
    pool=POOL,
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
        rows = row_counts(connection, MODEL_TABLES)
    choice = trained.choice
    context.log.info(f"abuse model in force: {choice.model.version}; {choice.why}")
    yield from results(
        rows,
        {
            "model": choice.model.version,
            "why": choice.why,
            "sha256": trained.kept.sha256,
            "folder": dg.MetadataValue.path(str(registry.folder)),
        },
    )


@dg.multi_asset(
    specs=table_specs("promotions", _SCORE_TABLES, [*_ACCOUNTS, "ml/abuse_model"], _MODULES, _KINDS),
    name="abuse_scores",
    pool=POOL,
)
def abuse_scores(warehouse: Warehouse, models: dg.ResourceParam[Path]) -> Iterator[dg.MaterializeResult]:
    """Score every account with the model in force."""
    from quintet.promotions.models import registry_of
    from quintet.promotions.policy import read_policy
    from quintet.promotions.result_tables import SCORE_TABLES, write_scores

    with warehouse.get_connection() as connection:
        result = write_scores(connection, registry_of(models), read_policy())
        rows = row_counts(connection, SCORE_TABLES)
    decisions = {name: int(count) for name, count in result.scores["decision"].value_counts().items()}
    yield from results(rows, {"decisions": decisions})


ASSETS = [abuse_model, abuse_scores]
