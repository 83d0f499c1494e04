"""The heavy steps as `bench/spark.py` measures them: each on generated data, here and on a cluster.

A step returns a digest of all that it gives, so that both can be compared digit by digit.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from obstore.store import LocalStore

from bench.matching import write_world
from quintet.change_log.change import Change, Position
from quintet.change_log.lake import compact
from quintet.change_log.log import Epoch, Stretch, write_epoch, write_stretch
from quintet.conversions.candidates import MatchInput
from quintet.conversions.fit import fit
from quintet.conversions.inference import infer_here
from quintet.conversions.match import match
from quintet.conversions.spark_inference import infer_on
from quintet.lending.feature_registry import features
from quintet.lending.spark_folds import fold_on
from quintet.lending.tables import catch_up_with_log, client_features, training_rows
from quintet.promotions.accounts import accounts_of
from quintet.promotions.evidence import gather
from quintet.promotions.profile import Population
from quintet.promotions.spark_links import gather_on
from quintet.samples.promotions import PromotionsWorld, make_sample
from quintet.spark.groups import Cluster

_MATCHING = MatchInput("conversions", "broker_rows")
_LARGEST_STRETCH = 20_000
_AS_OF = date(2021, 1, 1)


@dataclass(frozen=True)
class Outcome:
    """The seconds of a step, those of a core in this process, and the digest of its results."""

    seconds: float
    core_seconds: float
    digest: str


class _Stopwatch:
    """Measures from its creation on."""

    def __init__(self) -> None:
        self._began, self._worked = time.perf_counter(), time.process_time()

    def outcome(self, *contents: bytes) -> Outcome:
        """Return the outcome with the digest of the results."""
        found = hashlib.sha256()
        for content in contents:
            found.update(content)
        return Outcome(*self._read, found.hexdigest()[:16])

    def stop(self) -> None:
        """Take the time, before the results are read for their digest."""
        self._read = time.perf_counter() - self._began, time.process_time() - self._worked


@dataclass(frozen=True)
class Job:
    """A step on generated data. size: in words. units: what a cost is counted by, and how many there are."""

    name: str
    size: str
    unit: str
    units: int
    run: Callable[[Cluster | None], Outcome]


def matching(folder: Path, conversions: int) -> Job:
    """Match conversions and broker rows of a generated world with a model that is trained on it."""
    write_world(folder, conversions, seed=3)
    world = folder / "world.duckdb"
    with duckdb.connect(str(world)) as connection:
        connection.execute(
            "create table conversions as select unique_id as conversion_id, country as country_iso2, "
            f"make_timestamp(at_second * 1000000) as created_at from '{folder / 'conversions.parquet'}'"
        )
        connection.execute(
            "create table broker_rows as select unique_id as broker_row_id, 'one' as partner, "
            "make_timestamp(at_second * 1000000) as broker_at, residency as residency_iso2, country as ip_iso2 "
            f"from '{folder / 'rows.parquet'}'"
        )
        model = fit(connection, _MATCHING)
        [(days,)] = connection.execute("select count(distinct created_at::date) from conversions").fetchall()

    def run(cluster: Cluster | None) -> Outcome:
        with duckdb.connect(config={"threads": 2}) as connection:
            connection.execute(f"attach '{world}' as world (read_only)")
            for table in ("conversions", "broker_rows"):
                connection.execute(f"create view {table} as from world.{table}")
            watch = _Stopwatch()
            match(connection, _MATCHING, model, inference=infer_here if cluster is None else infer_on(cluster))
            watch.stop()
            frames = (
                connection.execute(f"from matching.{name} order by all").df() for name in ("match_pairs", "matches")
            )
            return watch.outcome(*(frame.to_csv(index=False).encode() for frame in frames))

    return Job("matching", f"{conversions:,} conversions", "block of a day", days, run)


def abuse(users: int) -> Job:
    """Gather the evidence of the accounts of a generated world."""
    sample = make_sample(PromotionsWorld(users=users, usages=users), seed=1)
    rows, _, usages = (file.rows for file in sample.files)
    typed = rows.assign(created_at=pd.to_datetime(rows["created_at"]), dob=pd.to_datetime(rows["dob"]))
    accounts = accounts_of(typed, usages)
    population = Population.of(accounts)

    def run(cluster: Cluster | None) -> Outcome:
        watch = _Stopwatch()
        matrix = (gather if cluster is None else gather_on(cluster))(accounts, population)
        watch.stop()
        arrays = (matrix.columns, matrix.component, matrix.link_a, matrix.link_b, matrix.link_weight)
        return watch.outcome(*(np.ascontiguousarray(array).tobytes() for array in arrays))

    return Job("abuse", f"{users:,} accounts", "account", len(accounts), run)


def features_and_training_set(folder: Path, clients: int) -> Job:
    """Fold a generated log of loans and payments from its start."""
    store, epoch, changes = _log(folder / "log", clients)

    def run(cluster: Cluster | None) -> Outcome:
        with tempfile.TemporaryDirectory(dir=folder) as states:
            watch = _Stopwatch()
            folding = None if cluster is None else fold_on(cluster)
            catch_up_with_log(Path(states), store, epoch, features(), folding=folding)
            watch.stop()
            frames = (training_rows(Path(states), features()), client_features(Path(states), features(), _AS_OF))
            return watch.outcome(*(frame.to_csv(index=False).encode() for frame in frames))

    return Job("features", f"{changes:,} changes of {clients:,} clients", "change", changes, run)


def _log(folder: Path, clients: int) -> tuple[LocalStore, Epoch, int]:
    """Write a log: a snapshot of the clients, then three loans each that are paid in three instalments."""
    store = LocalStore(str(folder), mkdir=True)
    chance = np.random.default_rng(7)
    day = np.datetime64("2020-01-01")
    rows: list[tuple[str, str, dict[str, Any]]] = [
        ("user", "snapshot", {"id": client, "created_on": "2019-01-01", "birth_date": "1985-05-05"})
        for client in range(clients)
    ]
    for loan in chance.permutation(3 * clients).tolist():
        applied = day + int(chance.integers(0, 300))
        given = {"id": loan, "client_id": loan // 3, "amount": float(chance.integers(50, 2_000)), "duration": 30}
        given |= {"created_on": str(applied), "updated_on": str(applied)}
        rows += [("loan", operation, given | {"status": status}) for operation, status in _LIFE]
        rows += [
            ("payment", "insert", {"id": 3 * loan + number, "loan_id": loan, "principle": 10.0, "interest": 1.25}
             | {"status": "late" if chance.random() < 0.2 else "on_time", "created_on": str(applied + 10 * number)})
            for number in range(3)
        ]  # fmt: skip
    at = "2020-12-31T10:00:00.000000Z"
    changes = [
        Change(*((0, place) if operation == "snapshot" else (place, 0)), at, table, operation, "s", row, None)
        for place, (table, operation, row) in enumerate(rows)
    ]
    places = [change.position for change in changes] + [Position(len(changes))]
    for begin in range(0, len(changes), _LARGEST_STRETCH):
        end = min(begin + _LARGEST_STRETCH, len(changes))
        write_stretch(store, Stretch("E", places[begin], places[end]), changes[begin:end])
    epoch = Epoch("E", Position(0), Position(clients), at, "1")
    write_epoch(store, epoch)
    compact(store, epoch)
    return store, epoch, len(changes)


_LIFE = (("insert", "application"), ("update", "active"), ("update", "paid"))
