"""Lending's assets: the change log compacted, features and training set from the log alone, and the scoring model."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from assets.facts import DAILY, OWNERS
from quintet.changelog.lake import compact, expire, read_manifest
from quintet.changelog.log import Epoch, Store, epochs
from quintet.changelog.place import find_log
from quintet.lending.models import registry_of
from quintet.lending.policy import read_policy
from quintet.lending.registry import features
from quintet.lending.result_tables import MODEL_TABLES, write_model_results
from quintet.lending.tables import (
    CLIENT_FEATURES,
    TRAINING_SET,
    client_features,
    training_rows,
    write_client_features,
    write_training_set,
)
from quintet.settings import Settings
from resources.clock import Clock
from resources.warehouse import POOL, Warehouse

LAKE = dg.AssetKey(["lake", "lending_changes"])

_MODEL_DESCRIPTIONS = {
    "ml.lending_models": "Every scoring model that was kept: which is in force, which is tried beside it, and why.",
    "ml.lending_model_training": "What was learnt last, from which loans, and what came of it.",
    "ml.lending_model_figures": "What scores are worth on later loans, for both kinds of model, with intervals.",
    "ml.lending_model_calibration": "Probabilities beside what came, in bins of equal counts.",
    "ml.lending_model_points": "The scorecard: points by bin of each input.",
    "ml.lending_model_fairness": "How bands of age fare, though age is no input.",
    "ml.lending_model_stability": "How later applications differ from those learnt from.",
    "ml.lending_model_distribution": "How points are spread by decision and outcome.",
    "ml.lending_scores": "Every application scored and decided by the model and policy in force.",
    "ml.lending_what_if": "What other limits of approval would have decided, lent and lost.",
}


def _log(settings: Settings) -> tuple[Store | None, Epoch | None]:
    """The change log and its latest epoch; None where no stream has written yet."""
    log = find_log(settings)
    known = epochs(log) if log is not None else []
    return log, known[-1] if known else None


@dg.asset(
    key=LAKE,
    group_name="lending",
    description="The change log of the stream as Parquet, a file a day of commits; small objects expire after a while.",
    owners=OWNERS,
    kinds={"parquet", "s3"},
    pool=POOL,
    freshness_policy=DAILY,
)
def lending_changes(clock: Clock, settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult:
    """Compact what came since the last time, and let what is compacted and old expire."""
    log, epoch = _log(settings)
    if log is None or epoch is None:
        return dg.MaterializeResult(metadata={"dagster/row_count": 0, "log": "no stream has written yet"})
    done = compact(log, epoch)
    expired = expire(log, epoch, clock.now().replace(tzinfo=dt.UTC) - dt.timedelta(days=settings.log_days))
    rows = sum(part.rows for part in read_manifest(log, epoch).parts)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows,
            "changes added": done.changes,
            "objects compacted": done.objects,
            "objects expired": expired,
            "days written": ", ".join(done.days),
        }
    )


@dg.asset(
    key=CLIENT_FEATURES.split("."),
    deps=[LAKE],
    group_name="lending",
    description="The features of every client at the end of a day, by replaying the log.",
    owners=OWNERS,
    kinds={"python", "duckdb"},
    pool=POOL,
    freshness_policy=DAILY,
    metadata={"dagster/table_name": CLIENT_FEATURES},
)
def lending_client_features(
    warehouse: Warehouse, clock: Clock, settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult:
    """Replay what came since the last time, and tell every client's features."""
    log, epoch = _log(settings)
    as_of = settings.lending_as_of or clock.now().date()
    rows = client_features(Path(settings.lending), log, epoch, features(), as_of)
    with warehouse.get_connection() as connection:
        write_client_features(connection, rows, features())
    return dg.MaterializeResult(metadata={"dagster/row_count": len(rows), "as of": as_of.isoformat()})


@dg.asset(
    key=TRAINING_SET.split("."),
    deps=[LAKE],
    group_name="lending",
    description="Every application with the features that were known at it, and what came of the loan.",
    owners=OWNERS,
    kinds={"python", "duckdb"},
    pool=POOL,
    freshness_policy=DAILY,
    metadata={"dagster/table_name": TRAINING_SET},
)
def lending_training_set(warehouse: Warehouse, settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult:
    """Replay the log, and join each application with the states that were known before it."""
    rows = training_rows(*_log(settings), features())
    with warehouse.get_connection() as connection:
        write_training_set(connection, rows, features())
    return dg.MaterializeResult(metadata={"dagster/row_count": len(rows)})


def _model_specs() -> list[dg.AssetSpec]:
    return [
        dg.AssetSpec(
            table.split("."),
            deps=[dg.AssetKey(TRAINING_SET.split("."))],
            group_name="lending",
            description=_MODEL_DESCRIPTIONS[table],
            owners=OWNERS,
            kinds={"python", "scikitlearn", "duckdb"},
            freshness_policy=DAILY,
            metadata={"dagster/table_name": table},
        )
        for table in MODEL_TABLES
    ]


@dg.multi_asset(specs=_model_specs(), name="lending_model", pool=POOL)
def lending_model(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    clock: Clock,
    models: dg.ResourceParam[Path],
    settings: dg.ResourceParam[Settings],
) -> Iterator[dg.MaterializeResult]:
    """Learn; what was learnt comes into force only where the gate lets it through. Then score every application."""
    with warehouse.get_connection() as connection:
        promotion = write_model_results(
            connection, registry_of(models), read_policy(settings.lending_policy), clock.now()
        )
        counts = {table: connection.execute(f"select count(*) from {table}").fetchall()[0][0] for table in MODEL_TABLES}
    version = promotion.model.version if promotion.model is not None else "none"
    context.log.info(f"scoring model in force: {version}; {promotion.why}")
    for table, count in counts.items():
        yield dg.MaterializeResult(
            asset_key=table.split("."),
            metadata={"dagster/row_count": int(count), "model": version, "why": promotion.why},
        )
