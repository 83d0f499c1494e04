"""Lending's assets: the change log compacted, the features of every client, the training set; from the log alone."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import dagster as dg

from assets.facts import DAILY, OWNERS
from quintet.changelog.lake import compact, expire, read_manifest
from quintet.changelog.log import Epoch, Store, epochs
from quintet.changelog.place import find_log
from quintet.lending.registry import features
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
