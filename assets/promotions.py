"""Promotions' own assets: the model of abuse with its card, and the score of every account."""

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from assets.facts import EVALUATIONS
from assets.tables import Retraining, carried_from, described, results, table_specs
from quintet.settings import Settings
from resources.clock import Clock
from resources.paths import Paths
from resources.warehouse import POOL, Warehouse

if TYPE_CHECKING:
    from quintet.promotions.evidence import Gathering

_ACCOUNTS = ["intermediate/int_promo_users_current", "intermediate/int_promo_usages"]
_CARRIED = carried_from(
    {
        _ACCOUNTS[0]: [
            *("user_id", "email", "first_name", "last_name", "ip_address", "device_id", "user_agent"),
        ],
        "ml/abuse_model": ["model_version"],
    }
)
_RULES = ["ops/rule_changes", "ops/rule_list_entries"]
_MODULES = ["quintet.promotions.result_tables"]
_WORLDS = ["quintet.promotions.ring_worlds"]
_TRAINING = ["quintet.promotions.model_results"]
_KINDS = ("python", "scikitlearn", "duckdb")
_MODEL_TABLES = {
    "ml.abuse_model": "The active model of promo-code abuse, with its policy.",
    "ml.abuse_trainings": "Every training: its labels, whether its model was activated, and how far scores moved.",
    "ml.abuse_model_figures": "Precision and recall on held-back labelled accounts, with intervals.",
    "ml.abuse_model_thresholds": "How many accounts each threshold flags, and how precisely.",
    "ml.abuse_model_curve": "Precision and recall over all thresholds.",
    "ml.abuse_model_weights": "What each piece of evidence adds to the log-odds.",
    "ml.abuse_model_rings": "How much of injected rings the active model and the scorecard catch.",
    "ml.abuse_model_groups": "Decisions by how many accounts share an address.",
}
_WORLD_TABLES = {
    "ml.abuse_worlds": "How well the scorecard does on each generated world.",
    "ml.abuse_world_rings": "How much it catches there, by size and days of the rings.",
}
_SCORE_TABLES = {
    "ml.abuse_scores": "The score of every account with decision, reasons and cluster.",
    "ml.abuse_links": "Pairs of accounts that probably belong to one person.",
    "ml.abuse_shared_keys": "The keys that the accounts of a cluster share.",
    "ml.abuse_evidence": "The evidence behind every score, each value 0 or more.",
    "ml.abuse_figures": "The figures of every account that rules may name; rules are tested on them.",
}


@dg.multi_asset(
    specs=table_specs("promotions", _MODEL_TABLES, [*_ACCOUNTS, "ops/abuse_labels"], _TRAINING, _KINDS),
    name="abuse_model",
    pool=POOL,
)
def abuse_model(
    context: dg.AssetExecutionContext,
    config: Retraining,
    warehouse: Warehouse,
    clock: Clock,
    paths: Paths,
    settings: dg.ResourceParam[Settings],
) -> Iterator[dg.MaterializeResult]:
    """Train on the labels; activate the new model if it passes the promotion gate."""
    from quintet.promotions.model_results import train_model
    from quintet.promotions.models import registry_of
    from quintet.promotions.policy import read_policy
    from quintet.promotions.result_tables import MODEL_TABLES

    with warehouse.get_connection() as connection:
        registry = registry_of(paths.models)
        trained = train_model(
            connection,
            registry,
            read_policy(),
            clock.now(),
            retrain=config.retrain,
            gathering=gathering_of(settings),
        )
        facts = described(connection, MODEL_TABLES)
    context.log.info(f"active abuse model: {trained.model.version}; {trained.verdict.why}")
    yield from results(
        facts,
        {
            "model": trained.model.version,
            "why": trained.verdict.why,
            "engine": settings.engine,
            "sha256": trained.saved.sha256,
            "folder": dg.MetadataValue.path(str(registry.folder)),
        },
    )


@dg.multi_asset(specs=table_specs("promotions", _WORLD_TABLES, [], _WORLDS, _KINDS), name="abuse_worlds", pool=POOL)
def abuse_worlds(warehouse: Warehouse, paths: Paths) -> Iterator[dg.MaterializeResult]:
    """Measure the scorecard on generated worlds; the result depends on the code alone."""
    from quintet.promotions.ring_worlds import write_worlds

    with warehouse.get_connection() as connection:
        written = write_worlds(connection, paths.models / EVALUATIONS)
        facts = described(connection, written)
    yield from results(facts)


def gathering_of(settings: Settings) -> "Gathering":
    """Return what gathers the evidence of accounts: this machine, or the cluster of the settings."""
    from quintet.promotions.evidence import gather

    if settings.engine == "duckdb":
        return gather
    from quintet.promotions.spark_links import gather_on
    from quintet.spark.groups import cluster_of

    return gather_on(cluster_of(settings))


@dg.multi_asset(
    specs=table_specs("promotions", _SCORE_TABLES, [*_ACCOUNTS, "ml/abuse_model", *_RULES], _MODULES, _KINDS),
    name="abuse_scores",
    pool=POOL,
)
def abuse_scores(
    warehouse: Warehouse, clock: Clock, paths: Paths, settings: dg.ResourceParam[Settings]
) -> Iterator[dg.MaterializeResult]:
    """Score every account with the active model."""
    from quintet.promotions.models import registry_of
    from quintet.promotions.policy import read_policy
    from quintet.promotions.result_tables import SCORE_TABLES, write_scores

    with warehouse.get_connection() as connection:
        result = write_scores(
            connection,
            registry_of(paths.models),
            read_policy(),
            clock.now().replace(tzinfo=dt.UTC).timestamp(),
            gathering_of(settings),
        )
        facts = described(connection, SCORE_TABLES, _CARRIED)
    decisions = {name: int(count) for name, count in result.scores["decision"].value_counts().items()}
    yield from results(facts, {"decisions": decisions, "engine": settings.engine})


ASSETS = [abuse_model, abuse_worlds, abuse_scores]
