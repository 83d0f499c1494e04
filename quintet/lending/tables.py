"""Lending's tables in the warehouse: the features of every client, and the training set, both replayed from the log.

Belongs here: from the log to frames and tables. The replay keeps its place in a file of its own, apart from that of the
stream, so that each is a check on the other; a run applies what came since the last one, and a new or changed feature
replays everything.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd

from quintet.changelog.lake import read_history
from quintet.changelog.log import Epoch, Store
from quintet.lending.contract import USER
from quintet.lending.feature import Feature
from quintet.lending.online import OnlineFeatures
from quintet.lending.registry import values
from quintet.lending.training import APPLICATION_COLUMNS, OUTCOME_COLUMNS, training_set
from quintet.online.features import FeatureStore

CLIENT_FEATURES = "ml.client_features"
TRAINING_SET = "ml.lending_training_set"


def client_features(
    folder: Path, log: Store | None, epoch: Epoch | None, known: Sequence[Feature], as_of: date
) -> pd.DataFrame:
    """A row for each client of "user": client_id, as_of, the features by name. Empty where there is no log yet.

    folder: where the replay keeps its place.
    """
    found: list[dict[str, object]] = []
    if log is not None and epoch is not None:
        store = FeatureStore(folder)
        OnlineFeatures(store, known).replay(log, epoch)
        clients = set(store.keys(USER))
        found = [
            {"client_id": int(owner), **values(known, states, as_of)}
            for owner, states in store.all_states()
            if owner in clients
        ]
        store.close()
    frame = pd.DataFrame(found, columns=["client_id", *(feature.name for feature in known)])
    frame.insert(1, "as_of", as_of.isoformat())
    return frame.sort_values("client_id", ignore_index=True)


def training_rows(log: Store | None, epoch: Epoch | None, known: Sequence[Feature]) -> pd.DataFrame:
    """The training set of an epoch; empty where there is no log yet."""
    with tempfile.TemporaryDirectory(prefix="quintet-training-") as folder:
        store = FeatureStore(Path(folder))
        try:
            with store.change() as draft:
                history = read_history(log, epoch) if log is not None and epoch is not None else ()
                return training_set(draft, known, (changes for changes, _ in history))
        finally:
            store.close()


def write_client_features(connection: duckdb.DuckDBPyConnection, rows: pd.DataFrame, known: Sequence[Feature]) -> None:
    """Replace `ml.client_features`."""
    _write(connection, CLIENT_FEATURES, rows, {"client_id": "bigint", "as_of": "date"} | _types(known))


def write_training_set(connection: duckdb.DuckDBPyConnection, rows: pd.DataFrame, known: Sequence[Feature]) -> None:
    """Replace `ml.lending_training_set`."""
    _write(connection, TRAINING_SET, rows, APPLICATION_COLUMNS | _types(known) | OUTCOME_COLUMNS)


def _types(known: Sequence[Feature]) -> dict[str, str]:
    return {feature.name: "double" for feature in known}


def _write(connection: duckdb.DuckDBPyConnection, table: str, rows: pd.DataFrame, kinds: dict[str, str]) -> None:
    connection.register("lending_rows", rows.astype("object"))
    columns = ", ".join(f"{name}::{kind} as {name}" for name, kind in kinds.items())
    connection.execute(f"create or replace table {table} as select {columns} from lending_rows").fetchall()
    connection.unregister("lending_rows")
