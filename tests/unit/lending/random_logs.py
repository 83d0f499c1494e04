"""Change logs drawn at random, and whether two ways to fold one give the same rows, states and applications."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
from obstore.store import MemoryStore

from quintet.change_log.change import Change, Position
from quintet.change_log.log import Epoch, Stretch, write_epoch, write_stretch
from quintet.lending.book import MARK, QUARANTINED
from quintet.lending.contract import LOAN, PAYMENT, USER
from quintet.lending.feature_registry import features
from quintet.lending.folding import Folding
from quintet.lending.tables import catch_up_with_log, client_features, training_rows
from quintet.lending.training import SETTLED
from quintet.state.features import FeatureStore

AS_OF = date(2020, 9, 1)
_TABLES = (USER, LOAN, PAYMENT, SETTLED, QUARANTINED, MARK)


def _day(chance: random.Random) -> str:
    return f"2020-0{chance.randint(6, 8)}-{chance.randint(1, 28)}"[:8] + f"{chance.randint(1, 28):02}"


def _row(chance: random.Random, table: str, key: int) -> dict[str, Any]:
    """Return a row of a client, loan or payment; some name a parent that is not there."""
    if table == USER:
        return {"id": key, "created_on": _day(chance), "birth_date": "1990-01-01"}
    if table == LOAN:
        status = chance.choice(["application", "active", "paid", "overdue"])
        dates = {"created_on": _day(chance), "updated_on": _day(chance)}
        return {"id": key, "client_id": chance.randint(0, 25), "amount": 100.0, "status": status, **dates}
    paid = {"principle": 40.0, "interest": chance.randint(0, 900) / 100}
    status = chance.choice(["on_time", "late"])
    return {"id": key, "loan_id": chance.randint(0, 45), **paid, "status": status, "created_on": _day(chance)}


def changes_of(seed: int, poison: dict[str, Any] | None = None) -> list[Change]:
    """Return a snapshot and a stream in which rows move, lose their keys, are deleted, truncated and poisoned."""
    chance, rows = random.Random(seed), dict[tuple[str, int], dict[str, Any]]()
    found: list[Change] = []

    def put(table: str, key: int, operation: str, row: dict[str, Any] | None, old: dict[str, Any] | None) -> None:
        lsn, sequence = (0, len(found)) if operation == "snapshot" else (len(found), 0)
        at = f"2020-09-{1 + len(found) % 28:02}T10:00:00.000000Z"
        found.append(Change(lsn, sequence, at, table, operation, "s", row, old))
        rows.pop((table, key), None)
        if row is not None:
            rows[table, row["id"]] = row

    for table, count in ((USER, 20), (LOAN, 40), (PAYMENT, 60)):
        for key in range(count):
            put(table, key, "snapshot", _row(chance, table, key), None)
    for number in range(1_000, 1_400):
        table, key = chance.choice(list(rows))
        kind = chance.random()
        if kind < 0.3:
            table = chance.choice([USER, LOAN, LOAN, PAYMENT])
            put(table, number, "insert", _row(chance, table, number), None)
        elif kind < 0.7:
            put(table, key, "update", _row(chance, table, key), None)
        elif kind < 0.75:
            put(table, key, "update", _row(chance, table, number), {"id": key})
        elif kind < 0.85:
            put(table, key, "delete", None, {"id": key})
        elif kind < 0.86:
            put(PAYMENT, -1, "truncate", None, None)
        elif poison is not None and kind < 0.9:
            put(LOAN, key, "update", _row(chance, LOAN, key) | poison, None)
    return found


@contextmanager
def log_of(changes: list[Change]) -> Iterator[tuple[MemoryStore, Epoch]]:
    store, end = MemoryStore(), Position(changes[-1].commit_lsn + 1)
    snapshot_end = Position(0, sum(change.operation == "snapshot" for change in changes))
    epoch = Epoch("E", Position(0), snapshot_end, "2020-09-01T00:00:00.000000Z", "1")
    write_stretch(store, Stretch("E", Position(0), end), changes)
    write_epoch(store, epoch)
    yield store, epoch


def content(folder: Path) -> dict[str, Any]:
    """Return everything in the file of features."""
    store = FeatureStore(folder)
    try:
        tables: dict[str, Any] = {table: dict(store.rows(table)) for table in _TABLES}
        return tables | {"states": dict(store.all_states()), "facts": store.states("")[1]}
    finally:
        store.close()


def assert_same_states(store: MemoryStore, epoch: Epoch, folding: Folding, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    settled = catch_up_with_log(here, store, epoch, features())
    assert catch_up_with_log(there, store, epoch, features(), folding=folding) == settled
    assert settled.total() > 30
    assert content(there) == content(here)
    pd.testing.assert_frame_equal(training_rows(there, features()), training_rows(here, features()), check_exact=True)
    pd.testing.assert_frame_equal(
        client_features(there, features(), AS_OF), client_features(here, features(), AS_OF), check_exact=True
    )
