"""Lending's tables in the warehouse: the features of every client and the training set, built from the change log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pandas as pd

from quintet.change_log.change import Change, Position
from quintet.change_log.completeness import Incomplete, incomplete_from_text, read_incomplete
from quintet.change_log.lake import covered, read_history
from quintet.change_log.log import Epoch, ObjectStore
from quintet.lending.book import ANYBODY, MARK
from quintet.lending.contract import SCHEMA, USER
from quintet.lending.feature import Feature
from quintet.lending.feature_registry import values, version_of
from quintet.lending.folding import Folded, Folding
from quintet.lending.online import INCOMPLETE, POSITION, VERSION, OnlineFeatures
from quintet.lending.training import APPLICATION_COLUMNS, OUTCOME_COLUMNS, settle, training_set
from quintet.state.features import FeatureStore

CLIENT_FEATURES = "ml.client_features"
TRAINING_SET = "ml.lending_training_set"
_CHUNK = 50_000  # changes in one transaction


class OtherFeaturesError(RuntimeError):
    """The stored states are of other features than the requested ones; the message says how to fix it."""


def catch_up_with_log(
    folder: Path,
    log: ObjectStore,
    epoch: Epoch,
    known: Sequence[Feature],
    report: Callable[[str], None] = lambda _: None,
    folding: Folding | None = None,
) -> Counter[str]:
    """Catch up with the log, from its start if the epoch or a feature is new; count settled applications by day.

    folder: of the states and the place reached in the log. report: called with the progress after each chunk. Days are
    days of the log. folding: where the log is folded from its start; None for here.
    """
    store, settled, applied = FeatureStore(folder), Counter[str](), 0
    try:
        online = OnlineFeatures(store, known)
        incomplete = read_incomplete(log, epoch.name)
        complete_until = min((one.since for one in _read_by(known, incomplete)), default=None)
        place = online.position(epoch.name)
        if place is None and folding is not None:
            with folding(read_history(log, epoch), known, epoch, complete_until) as folded:
                _replace(online, epoch, folded)
            settled, place = folded.settled, folded.end
            report(f"the log was folded from its start up to {place}")
        elif place is None:
            place = online.begin(epoch)
        online.mark_incomplete(incomplete)
        for changes, end in _in_chunks(read_history(log, epoch, place)):
            with store.change() as draft:
                settled += settle(draft, known, changes, end >= epoch.snapshot_end, complete_until)
                draft.put_fact(POSITION, str(end))
            applied += len(changes)
            if len(changes) >= _CHUNK:
                report(f"{applied:,} changes of the log applied")
    finally:
        store.close()
    return settled


def _replace(online: OnlineFeatures, epoch: Epoch, folded: Folded) -> None:
    """Replace all rows and states by those of a folding.

    Meanwhile the file has no place in the log: after a run that is killed the next one starts again.
    """
    online.begin(epoch)
    with online.store.change() as draft:
        draft.put_fact(POSITION, None)
    for part in folded.parts:
        with online.store.change() as draft:
            for table, key, parent, row in part.rows:
                draft.put_row(table, key, parent, row)
            for owner, states in part.states:
                draft.put_states(owner, states)
    online.store.keep(POSITION, str(folded.end))


def reads_from_start(folder: Path, epoch: Epoch, known: Sequence[Feature]) -> bool:
    """Return whether catching up reads the log from its start."""
    store = FeatureStore(folder)
    try:
        return OnlineFeatures(store, known).position(epoch.name) is None
    finally:
        store.close()


def is_behind(folder: Path, log: ObjectStore, epoch: Epoch, known: Sequence[Feature]) -> bool:
    """Return whether the log has changes that are not applied yet."""
    store = FeatureStore(folder)
    try:
        place = OnlineFeatures(store, known).position(epoch.name)
    finally:
        store.close()
    return place is None or covered(log, epoch) > place


def client_features(folder: Path, known: Sequence[Feature], as_of: date) -> pd.DataFrame:
    """Return client_id, as_of and the features of each client of "user"; empty if no log was read yet.

    Where a table is incomplete, as_of is the day before it became so, if that is earlier. Clients with a quarantined
    row are left out.
    """
    with _feature_store(folder, known) as store:
        marks = [mark for _, mark in store.rows(MARK)]
        incomplete = _read_by(known, incomplete_from_text(store.fact(INCOMPLETE)))
        times = [
            *(one.last_commit_at for one in incomplete),
            *(mark["at"] for mark in marks if mark["client"] == ANYBODY),
        ]
        as_of = min([as_of, *(date.fromisoformat(at[:10]) - timedelta(days=1) for at in times)])
        clients = set(store.keys(USER)) - {mark["client"] for mark in marks}
        found = [
            {"client_id": int(owner), **values(known, states, as_of)}
            for owner, states in store.all_states()
            if owner in clients
        ]
    frame = pd.DataFrame(found, columns=["client_id", *(feature.name for feature in known)])
    frame.insert(1, "as_of", as_of.isoformat())
    return frame.sort_values("client_id", ignore_index=True)


def _read_by(known: Sequence[Feature], incomplete: Mapping[str, Incomplete]) -> list[Incomplete]:
    """Return the incomplete tables that a feature reads."""
    tables = {f"{SCHEMA}.{table}" for feature in known for table in feature.tables} | {f"{SCHEMA}.{USER}"}
    return [found for table, found in incomplete.items() if table in tables]


def training_rows(folder: Path, known: Sequence[Feature]) -> pd.DataFrame:
    """Return the training set as far as the log is applied; empty if no log was read yet."""
    with _feature_store(folder, known) as store:
        return training_set(store, known)


@contextmanager
def _feature_store(folder: Path, known: Sequence[Feature]) -> Iterator[FeatureStore]:
    store = FeatureStore(folder)
    try:
        if store.fact(VERSION) not in (None, version_of(known)):
            raise OtherFeaturesError(f"{store.path} has other features; materialise lake/lending_applications first")
        yield store
    finally:
        store.close()


def _in_chunks(history: Iterable[tuple[list[Change], Position]]) -> Iterator[tuple[list[Change], Position]]:
    """Join lists of changes into longer ones: after a restart there may be thousands of short ones."""
    chunk: list[Change] = []
    waiting: Position | None = None
    for changes, end in history:
        chunk, waiting = [*chunk, *changes], end
        if len(chunk) >= _CHUNK:
            yield chunk, end
            chunk, waiting = [], None
    if waiting is not None:
        yield chunk, waiting


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
