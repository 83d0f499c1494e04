"""Lending's assets: the change log and its lake, the tables built from it, and the scoring model."""

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.facts import DAILY, DOMAIN_TAG, REPORTS, owners_of
from assets.tables import Retraining, carried_from, described, described_by, results, table_specs
from quintet.change_log.lake import compact, expire, read_manifest
from quintet.change_log.place import last_day, latest_log
from quintet.code_version import code_version
from quintet.ingest.batches import loaded_contents, record_file
from quintet.lending.feature_files import write_applications, write_features
from quintet.lending.feature_registry import features
from quintet.lending.inbox import INBOX
from quintet.lending.settings import LendingSettings, feature_folder
from quintet.lending.tables import (
    CLIENT_FEATURES,
    TRAINING_SET,
    catch_up_with_log,
    client_features,
    reads_from_start,
    training_rows,
    write_client_features,
    write_training_set,
)
from quintet.settings import Settings
from resources.clock import Clock
from resources.paths import Paths
from resources.warehouse import POOL, Warehouse

if TYPE_CHECKING:
    from quintet.lending.folding import Folding

INBOX_KEY = dg.AssetKey(["inbox", INBOX])
CHANGE_LOG = dg.AssetKey(["change_log", "lending"])
LAKE = dg.AssetKey(["lake", "lending_changes"])
APPLICATIONS = dg.AssetKey(["lake", "lending_applications"])
FEATURE_FILES = dg.AssetKey(["lake", "lending_features"])

_MODEL_DESCRIPTIONS = {
    "ml.lending_models": "Every scoring model of the registry: which is active, which runs in shadow, and why.",
    "ml.lending_model_training": "The latest training: its loans, its choice, and the result of the promotion gate.",
    "ml.lending_model_figures": "Quality of the scores on later loans, for both kinds of model, with intervals.",
    "ml.lending_model_calibration": "Predicted and observed shares of default, in bins of equal counts.",
    "ml.lending_model_points": "The scorecard: points by bin of each input.",
    "ml.lending_model_fairness": "Approvals and score quality by age band; age is no input of the model.",
    "ml.lending_model_stability": "Drift of the inputs between earlier and later applications.",
    "ml.lending_model_performance": "Estimated and realised performance of the active model by month of application.",
    "ml.lending_model_distribution": "Distribution of points by decision and outcome.",
    "ml.lending_scores": "Every application scored and decided by the active model and policy.",
    "ml.lending_what_if": "What other limits of approval would have decided, lent and lost.",
}

_CARRIED = {
    "ml.lending_scores": carried_from(
        {TRAINING_SET.replace(".", "/"): ["application_id", "client_id", "applied_on", "amount", "outcome", "is_open"]}
    )
}

_SHARED: dict[str, Any] = {"group_name": "lending", "owners": owners_of("lending"), "freshness_policy": DAILY}


_FROM_LOG = ["quintet.lending.tables", "quintet.lending.feature_registry"]

LOAN_BOOK_INBOX = dg.AssetSpec(
    key=INBOX_KEY,
    group_name="lending",
    owners=owners_of("lending"),
    description=f"PostgreSQL dumps dropped into data/raw/{INBOX}: the lender's tables user, loan and payment.",
    kinds={"file", "postgres"},
)


@dg.asset(
    key=CHANGE_LOG,
    deps=[INBOX_KEY],
    description="The log of the lender's PostgreSQL, replicated to its end into the object store and the features of "
    "the decision service. A new dump of the inbox is loaded first and starts a new epoch.",
    kinds={"postgres", "s3"},
    pool=POOL,
    check_specs=[
        dg.AssetCheckSpec("replicated", asset=CHANGE_LOG, description="The log was read to its end."),
        dg.AssetCheckSpec(
            "tables_complete", asset=CHANGE_LOG, description="Every table and row of the database is in the log."
        ),
        dg.AssetCheckSpec("dumps_usable", asset=CHANGE_LOG, description="Every dump of the inbox could be used."),
    ],
    **_SHARED,
)
def lending_replication(
    context: dg.AssetExecutionContext, warehouse: Warehouse, clock: Clock, settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult:
    """Bring the change log up to date. If that fails, lending is built from the existing log, and a check fails."""
    from quintet.lending.replicated import REPLICATED
    from quintet.replicated import KNOWN, LOADED, REJECTED
    from quintet.replication.catch_up import CaughtUp, ReplicationError, catch_up

    with warehouse.get_connection() as connection:
        loaded = loaded_contents(connection, INBOX)
    failure, done = None, CaughtUp((), None)
    try:
        done = catch_up(settings, REPLICATED, loaded, context.log.info)
    except ReplicationError as error:
        failure = str(error)
    with warehouse.get_connection() as connection:
        for dump in done.dumps:
            if dump.status != KNOWN:
                status = LOADED if dump.status == LOADED else REJECTED
                record_file(connection, dump.file, dump.sha256, status, dump.rows, dump.message, clock.now())
    rejected = [str(dump.message) for dump in done.dumps if dump.status == REJECTED]
    return dg.MaterializeResult(
        metadata={
            "epoch": done.epoch.name if done.epoch else "no loan book yet",
            "rows of a new dump": sum(dump.rows for dump in done.dumps),
        },
        check_results=[
            dg.AssetCheckResult(
                passed=failure is None, check_name="replicated", description=failure or "the log was read to its end"
            ),
            dg.AssetCheckResult(
                passed=not done.incomplete,
                check_name="tables_complete",
                description="; ".join(done.incomplete)[:4000] or "every table and row is complete",
            ),
            dg.AssetCheckResult(
                passed=not rejected,
                check_name="dumps_usable",
                severity=dg.AssetCheckSeverity.WARN,
                description="; ".join(rejected)[:4000] or "every dump could be used",
            ),
        ],
    )


@dg.multi_asset(
    name="lending_log",
    pool=POOL,
    specs=[
        dg.AssetSpec(
            LAKE,
            deps=[CHANGE_LOG],
            description="The change log as Parquet, a file a day of commits; small objects expire after a while.",
            kinds={"parquet", "s3"},
            code_version=code_version("quintet.change_log.lake"),
            **_SHARED,
        ),
        dg.AssetSpec(
            APPLICATIONS,
            deps=[LAKE],
            description="Every application with its features at that time, settled once, and the states of every "
            "client. A new or changed feature reads the log from its start.",
            kinds={"python", "sqlite"},
            code_version=code_version(*_FROM_LOG),
            **_SHARED,
        ),
    ],
)
def lending_log(
    context: dg.AssetExecutionContext, clock: Clock, paths: Paths, settings: dg.ResourceParam[Settings]
) -> Iterator[dg.MaterializeResult]:
    """Compact the log's new changes and apply them to the states."""
    found = latest_log(settings)
    if found is None:
        yield dg.MaterializeResult(LAKE, metadata={"dagster/row_count": 0, "log": "there is no change log yet"})
        yield dg.MaterializeResult(APPLICATIONS, metadata={"applications settled": 0})
        return
    log, epoch = found
    done = compact(log, epoch)
    expired = expire(log, epoch, clock.now().replace(tzinfo=dt.UTC) - dt.timedelta(days=settings.log_days))
    yield dg.MaterializeResult(
        LAKE,
        metadata={
            "dagster/row_count": sum(part.rows for part in read_manifest(log, epoch).parts),
            "changes added": done.changes,
            "objects compacted": done.objects,
            "objects expired": expired,
            "days written": ", ".join(done.days),
        },
    )
    folder = feature_folder(paths.folder)
    engine = settings.engine if reads_from_start(folder, epoch, features()) else "duckdb"
    folding = folding_of(settings) if engine == "spark" else None
    settled = catch_up_with_log(folder, log, epoch, features(), context.log.info, folding)
    yield dg.MaterializeResult(APPLICATIONS, metadata={"applications settled": settled.total(), "engine": engine})


def folding_of(settings: Settings) -> "Folding":
    """Return what folds a log from its start on the cluster of the settings."""
    from quintet.lending.spark_folds import fold_on
    from quintet.spark.groups import cluster_of

    return fold_on(cluster_of(settings))


@dg.multi_asset(
    specs=table_specs(
        "lending",
        {CLIENT_FEATURES: "The features of every client at the end of a day."},
        ["lake/lending_applications"],
        _FROM_LOG,
    ),
    name="lending_client_features",
    pool=POOL,
)
def lending_client_features(
    warehouse: Warehouse, clock: Clock, paths: Paths, settings: dg.ResourceParam[Settings]
) -> Iterator[dg.MaterializeResult]:
    """Compute every client's features from the states."""
    as_of = settings.of(LendingSettings).lending_as_of or last_day(settings) or clock.now().date()
    rows = client_features(feature_folder(paths.folder), features(), as_of)
    with warehouse.get_connection() as connection:
        write_client_features(connection, rows, features())
        facts = described(connection, [CLIENT_FEATURES])
    yield from results(facts, {"as of": as_of.isoformat()})


@dg.multi_asset(
    specs=table_specs(
        "lending",
        {TRAINING_SET: "Every application with its features at that time, and the outcome of the loan."},
        ["lake/lending_applications"],
        _FROM_LOG,
    ),
    name="lending_training_set",
    pool=POOL,
)
def lending_training_set(warehouse: Warehouse, paths: Paths) -> Iterator[dg.MaterializeResult]:
    """Join the settled applications with the outcomes of their loans."""
    rows = training_rows(feature_folder(paths.folder), features())
    with warehouse.get_connection() as connection:
        write_training_set(connection, rows, features())
        facts = described(connection, [TRAINING_SET])
    yield from results(facts)


@dg.asset(
    key=FEATURE_FILES,
    deps=[APPLICATIONS],
    description="The features of every client as Parquet in the object store: current, as of each day of a run, and at "
    "each application; with a catalogue.",
    kinds={"parquet", "s3"},
    code_version=code_version("quintet.lending.feature_files", *_FROM_LOG),
    pool=POOL,
    group_name=REPORTS,  # files for readers: no table waits for them
    tags={DOMAIN_TAG: "lending"},
    owners=owners_of("lending"),
    freshness_policy=DAILY,
)
def lending_feature_files(clock: Clock, paths: Paths, settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult:
    """Write the files from the states; without a change log there are none."""
    found = latest_log(settings)
    if found is None:
        return dg.MaterializeResult(metadata={"files": 0, "log": "there is no change log yet"})
    store, folder = found[0], feature_folder(paths.folder)
    day = settings.of(LendingSettings).lending_as_of or last_day(settings) or clock.now().date()
    written = write_features(store, features(), lambda as_of: client_features(folder, features(), as_of), day)
    written.append(write_applications(store, training_rows(folder, features()), features()))
    return dg.MaterializeResult(metadata={"files": len(written), "as of": day.isoformat()})


@dg.multi_asset(
    specs=table_specs(
        "lending",
        _MODEL_DESCRIPTIONS,
        [TRAINING_SET.replace(".", "/")],
        ["quintet.lending.result_tables"],
        ("python", "scikitlearn", "duckdb"),
    ),
    name="lending_model",
    pool=POOL,
)
def lending_model(
    context: dg.AssetExecutionContext,
    config: Retraining,
    warehouse: Warehouse,
    clock: Clock,
    paths: Paths,
    settings: dg.ResourceParam[Settings],
) -> Iterator[dg.MaterializeResult]:
    """Train a model, activate it if it passes the promotion gate, and score every application."""
    from quintet.lending.models import registry_of
    from quintet.lending.policy import read_policy
    from quintet.lending.result_tables import MODEL_TABLES, write_model_results

    with warehouse.get_connection() as connection:
        promotion = write_model_results(
            connection,
            registry_of(paths.models),
            read_policy(settings.of(LendingSettings).lending_policy),
            clock.now(),
            retrain=config.retrain,
        )
        facts = described_by(connection, {table: _CARRIED.get(table, {}) for table in MODEL_TABLES})
    version = promotion.model.version if promotion.model is not None else "none"
    context.log.info(f"active scoring model: {version}; {promotion.why}")
    yield from results(facts, {"model": version, "why": promotion.why})


ASSETS = [
    LOAN_BOOK_INBOX,
    lending_replication,
    lending_log,
    lending_client_features,
    lending_training_set,
    lending_feature_files,
    lending_model,
]
