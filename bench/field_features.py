"""Online features beside Feast's: the same clients, the same values, one by one and a hundred at once."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.field_contestant import Contestant
from bench.measure import Line, MissingError
from quintet.change_log.change import Position
from quintet.change_log.log import Epoch
from quintet.lending.feature_registry import features
from quintet.lending.online import OnlineFeatures
from quintet.samples.lending import LendingWorld, make_book
from quintet.state.features import FeatureStore
from tests.unit.lending.book import snapshot_of

_WORLD = LendingWorld()
_AT_ONCE = 100
_A_COMMIT = 5_000

Requests = list[list[int]]
Row = tuple[float | None, ...]


@dataclass(frozen=True)
class Round:
    """The seconds of each request, and the values of each client in the order of the requests."""

    seconds: Sequence[float]
    values: Sequence[Row]

    def ms(self, share: float) -> float:
        """Return the percentile of the requests' times, ms."""
        return float(np.percentile(self.seconds, share)) * 1e3


def beside_feast(quick: bool, folder: Path) -> list[Line]:
    """Return the lines of single reads and of reads of a hundred clients; the two take turns in each round."""
    clients, rounds = (500, 1) if quick else (20_000, 5)
    singles, hundreds = (300, 10) if quick else (3_000, 100)
    online = _online(folder, clients)
    rng = np.random.default_rng(5)
    asked: dict[str, Requests] = {
        "one client": rng.integers(1, clients + 1, (singles, 1)).tolist(),
        f"{_AT_ONCE} clients at once": rng.integers(1, clients + 1, (hundreds, _AT_ONCE)).tolist(),
    }
    own: dict[str, list[Round]] = {what: [] for what in asked}
    theirs: dict[str, list[Round]] = {what: [] for what in asked}
    names = [one.name for one in features()]
    everybody = _read(online, names, [list(range(1, clients + 1))]).values
    frame = pd.DataFrame(everybody, columns=names, dtype=float)
    frame.insert(0, "client_id", np.arange(1, clients + 1))
    frame.assign(at=pd.Timestamp(_WORLD.as_of, tz="UTC")).to_parquet(folder / "features.parquet")
    reason = ""
    try:
        with Contestant.of_field("feast", "feast", folder) as feast:
            feast.answer()
            for _ in range(rounds):
                for what, requests in asked.items():
                    own[what].append(_read(online, names, requests))
                    theirs[what].append(_round(feast.ask(requests)))
    except MissingError as missing:
        reason = f"skipped: {missing}"
        for what, requests in asked.items():
            own[what] += [_read(online, names, requests) for _ in range(rounds)]
    online.store.close()
    lines = [_line(what, share, own[what], theirs[what], reason) for what in asked for share in (50, 99)]
    return lines if reason else [*lines, _equal(own, theirs)]


def _online(folder: Path, clients: int) -> OnlineFeatures:
    """Return the features of a generated book, as the stream writes them."""
    online = OnlineFeatures(FeatureStore(folder / "online"), features())
    online.begin(Epoch("E", Position(0), Position(0), "2020-01-01T00:00:00.000000Z", "1"))
    changes = snapshot_of(make_book(LendingWorld(clients=clients), 101))
    for begin in range(0, len(changes), _A_COMMIT):
        part = changes[begin : begin + _A_COMMIT]
        online.apply(part, Position(part[-1].commit_lsn + 1), part[-1].commit_lsn)
    online.store.checkpoint()
    return online


def _read(online: OnlineFeatures, names: Sequence[str], requests: Requests) -> Round:
    seconds, values = [], []
    for clients in requests:
        began = time.perf_counter()
        found = [online.features_of(client, _WORLD.as_of) for client in clients]
        seconds.append(time.perf_counter() - began)
        values += [tuple(None if one is None else one.values[name] for name in names) for one in found]
    return Round(seconds, values)


def _round(answer: dict[str, Any]) -> Round:
    return Round(answer["seconds"], [tuple(row) for row in answer["values"]])


def _line(what: str, share: int, own: Sequence[Round], theirs: Sequence[Round], reason: str) -> Line:
    ours = statistics.median(one.ms(share) for one in own)
    named = f"features: read of {what}, {'median' if share == 50 else f'p{share}'}"
    if reason:
        return Line(named, f"{ours:.2f} ms", "", True, reason)
    other = statistics.median(one.ms(share) for one in theirs)
    return Line(named, f"{ours:.2f} ms", "as fast as the comparator", ours <= other, f"Feast {other:.2f} ms")


def _equal(own: dict[str, list[Round]], theirs: dict[str, list[Round]]) -> Line:
    pairs = [
        (one, other)
        for what in own
        for mine, feast in zip(own[what], theirs[what], strict=True)
        for one, other in zip(mine.values, feast.values, strict=True)
    ]
    equal = sum(one == other for one, other in pairs)
    return Line("features: equal values", f"{equal:,} of {len(pairs):,}", "all", equal == len(pairs), is_exact=True)
