"""The scoring model on generated loan books with known risk, compared with that risk and with both kinds of model.

Each seed generates a separate book. A model is trained on it as the first snapshot of the change log has it, and tested
on the loans applied for after the training loans had ended. The AUC of the predicted probabilities is compared with the
AUC of each loan's true risk, which depends on age and on a hidden trait of the client. The calibration error is
measured against true probabilities, because outcomes would add noise.

One more book of each kind changes half a year before its end: the same clients repay less often, or loans are larger.
The months since then in which the performance raises an alarm are counted.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from bench.measure import Line, options, print_lines
from quintet.lending.feature_registry import features
from quintet.lending.measures import Ranking, calibration_error
from quintet.lending.model_training import Trained, train
from quintet.lending.performance import performance
from quintet.lending.scoring import ScoringModel
from quintet.lending.training import settle, training_set
from quintet.samples.lending import LendingWorld, make_book
from quintet.state.features import FeatureStore
from tests.unit.lending.book import snapshot_of

USUALLY = "3 minutes"

_LEAST_SHARE_OF_AUC, _MOST_CALIBRATION_ERROR, _MOST_MICROSECONDS = 0.95, 0.02, 50.0
_FIRST_SEED = 101
_DRIFTS: Mapping[str, tuple[LendingWorld, bool]] = {
    "without a change": (LendingWorld(drifts_days=180), False),
    "the same clients repay less often": (LendingWorld(drifts_days=180, risk_later=0.8), True),
    "loans are larger": (LendingWorld(drifts_days=180, amount_later=1.0), False),
}
"""Books by what changes later, and whether the model is wrong since then: it knows what larger loans mean."""


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and return the exit status."""
    parser = options("scoring", __doc__)
    parser.add_argument("--clients", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args(arguments)
    clients, seeds = (2_000, 1) if given.quick else (given.clients, given.seeds)
    found = [_measured(LendingWorld(clients=clients), seed) for seed in range(_FIRST_SEED, _FIRST_SEED + seeds)]
    rows = pd.DataFrame([row for row, _ in found])
    print(rows.to_string(index=False, float_format="{:.4f}".format))
    lines = [
        Line(
            "AUC of the chosen model divided by AUC of the true risk, lowest seed",
            f"{rows['share'].min():.4f}",
            f"at least {_LEAST_SHARE_OF_AUC}",
            bool(rows["share"].min() >= _LEAST_SHARE_OF_AUC),
            f"true risk AUC {rows['true risk'].min():.4f} to {rows['true risk'].max():.4f}",
        ),
        Line(
            "calibration error against the true risk, highest seed",
            f"{rows['off_by'].max():.4f}",
            f"at most {_MOST_CALIBRATION_ERROR}",
            bool(rows["off_by"].max() <= _MOST_CALIBRATION_ERROR),
            f"true risk against outcomes {rows['true risk, off_by_outcomes'].max():.4f}",
        ),
    ]
    for kind in found[-1][1].models:
        microseconds = statistics.median(_microseconds(trained.models[kind]) for _, trained in found)
        lines.append(
            Line(
                f"scoring one application, {kind}, median",
                f"{microseconds:.1f} µs",
                f"at most {_MOST_MICROSECONDS:.0f} µs",
                microseconds <= _MOST_MICROSECONDS,
            )
        )
    return print_lines("Scoring of loan applications", [*lines, *_of_drifts(clients)])


def _of_drifts(clients: int) -> Iterator[Line]:
    """Yield the alarms of each kind of book, and how far its probabilities are off since the change."""
    for name, (world, is_wrong) in _DRIFTS.items():
        row, trained = _measured(replace(world, clients=clients), _FIRST_SEED)
        changes_on = world.as_of - timedelta(days=world.drifts_days)
        scored = trained.tested.rename(columns={trained.chosen: "default_probability"})
        months = performance(scored, changes_on)
        later = months["alarm"].notna()[months["month"] > changes_on].groupby(months["month"]).any()
        yield Line(
            f"months with an alarm, {name}",
            f"{int(later.sum())} of {len(later)}",
            "at least one" if is_wrong else "none",
            bool(later.any() == is_wrong),
            f"AUC {row['share']:.3f} of the true risk's, probabilities off by {row['off_by']:.3f}",
        )


def _measured(world: LendingWorld, seed: int) -> tuple[dict[str, object], Trained]:
    book = make_book(world, seed)
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore(Path(folder))
        with store.change() as draft:
            settle(draft, features(), snapshot_of(book), snapshot_ends=True)
        rows = training_set(store, features())
        store.close()
    trained = train(rows)
    tested = trained.tested.merge(book.truth, left_on="application_id", right_on="loan_id")
    is_default, risk = tested["is_default"].to_numpy(), tested["default_probability"].to_numpy()
    best = Ranking(is_default, risk).auc()
    auc = {kind: Ranking(is_default, tested[kind].to_numpy()).auc() for kind in trained.models}
    chosen = tested[trained.chosen].to_numpy()
    return {
        "seed": seed,
        "trained on": len(trained.early),
        "tested on": len(tested),
        "chosen": trained.chosen,
        "true risk": best,
        **auc,
        "share": auc[trained.chosen] / best,
        "off_by": calibration_error(risk, chosen),
        "off_by_outcomes": calibration_error(is_default, chosen),
        "true risk, off_by_outcomes": calibration_error(is_default, risk),
    }, trained


def _microseconds(model: ScoringModel, rounds: int = 2_000) -> float:
    """Return the median time of scoring one application."""
    rng = np.random.default_rng(1)
    drawn = rng.uniform(0, 400, (rounds, len(model.inputs))).tolist()
    rows = [dict(zip(model.inputs, values, strict=True)) for values in drawn]
    seconds = []
    for row in rows:
        began = time.perf_counter()
        model.score(row)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds) * 1e6
