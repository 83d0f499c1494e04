"""What verdicts bring: simulated reviewers, right in 95% of 50 cases a day, on generated worlds with known truth.

Matches: the precision that is measured from verdicts on random samples, with second looks, against the truth.
Promotions: two weeks of the queue in its order, with a training a week; average precision of the scores of all
accounts, before and after. Verdicts are never counted, only the scores of the model that is trained on them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import duckdb
import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from bench.matching_worlds import DATA, World, flat_world
from bench.measure import PROJECT, Line, options, print_lines
from quintet.conversions.fit import fit
from quintet.conversions.match import match
from quintet.conversions.pipeline_worlds import open_world
from quintet.conversions.verdicts import LARGEST_SAMPLE_SHARE
from quintet.promotions.accounts import Accounts, accounts_of
from quintet.promotions.evidence import gather
from quintet.promotions.injected_rings import InjectedRings, inject_rings
from quintet.promotions.model import AbuseModel, scorecard
from quintet.promotions.policy import read_policy
from quintet.promotions.profile import Population
from quintet.promotions.ring_worlds import WORLDS
from quintet.promotions.training import choose_model
from quintet.samples.sample import Sample

USUALLY = "5 minutes"

_RIGHT, _A_DAY, _DAYS = 0.95, 50, 14
_MOST_POINTS = 1.0
_LEAST_GAIN = 0.03
_SQL = PROJECT / "dbt_project" / "models" / "marts" / "conversions" / "agg_match_verdicts.sql"


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and return the exit status."""
    quick = options("reviewers", __doc__).parse_args(arguments).quick
    world, seeds = (flat_world(4_000, (101,)), 1) if quick else (flat_world(20_000, (101, 102, 103)), 9)
    lines = [_matches(world, seeds)]
    hard = {name: make for name, make in WORLDS.items() if name.endswith("hard")}
    if quick:
        hard = dict(list(hard.items())[:1])
    lines += [_promotions(name, make, [20_251] if quick else [20_251, 20_252]) for name, make in hard.items()]
    return print_lines("Simulated reviewers", lines)


class Reviewer:
    """A person who is right in a share of the cases, at random."""

    def __init__(self, seed: int, right: float = _RIGHT) -> None:
        self._rng, self._right = np.random.default_rng(seed), right

    def judge(self, truth: np.ndarray) -> np.ndarray:
        """Return a verdict for each truth."""
        found: np.ndarray = np.where(self._rng.random(len(truth)) < self._right, truth, ~truth)
        return found


def _matches(world: World, reviewers: int) -> Line:
    """Two weeks of samples of each world, by several reviewers; the median and largest error of the estimate."""
    errors = []
    for seed in world.seeds:
        connection, truth = open_world(world.site, world.broker, seed)
        with connection:
            match(connection, DATA, fit(connection, DATA))
            connection.register("truth", truth)
            matched = connection.sql(
                "select matches.conversion_id, broker_row_id, "
                "coalesce(matches.conversion_id = truth.conversion_id, false) as is_right "
                "from matching.matches join truth using (broker_row_id) where tier = 'matched' order by broker_row_id"
            ).df()
        own = float(matched["is_right"].mean())
        errors += [100 * (measured_precision(matched, Reviewer(of)) - own) for of in range(reviewers)]
    bias, largest = float(np.mean(errors)), float(np.max(np.abs(errors)))
    typical = median(map(abs, errors))
    return Line(
        f"precision of matches from {_A_DAY * _DAYS} verdicts: error in points",
        f"{typical:.2f} (median), {bias:+.2f} (mean), {largest:.2f} (largest of {len(errors)})",
        f"median at most {_MOST_POINTS:g}",
        typical <= _MOST_POINTS,
    )


def measured_precision(matched: pd.DataFrame, reviewer: Reviewer) -> float:
    """Return the precision that the mart measures from samples and second looks.

    matched: conversion_id, broker_row_id and is_right of all matches.
    """
    looks = _A_DAY * _DAYS
    drawn = matched.sample(min(looks, len(matched)), random_state=0)
    rows: list[tuple[int, str, bool, float]] = []
    for is_right, conversion, row in zip(
        drawn["is_right"], drawn["conversion_id"], drawn["broker_row_id"], strict=True
    ):
        if looks <= 0:
            break
        looks -= 1
        (verdict,) = reviewer.judge(np.array([is_right]))
        if not verdict and looks > 0:  # a second look, by another person
            looks -= 1
            (verdict,) = reviewer.judge(np.array([is_right]))
        rows.append((conversion, row, bool(verdict), len(drawn) / len(matched)))
    frame = pd.DataFrame(rows, columns=["conversion_id", "broker_row_id", "is_link", "share"])
    frame["share"] = frame["share"].clip(upper=LARGEST_SAMPLE_SHARE)
    frame["verdict_id"] = range(len(frame))
    with duckdb.connect() as connection:
        connection.register("pair_verdicts", frame)
        connection.execute("create view matches as select 'matched' as tier")
        found = connection.execute(f"select precision from ({_plain_sql(_SQL)})").fetchall()
    return float(found[0][0])


def _plain_sql(path: Path) -> str:
    """Return the SQL of a dbt model over `pair_verdicts` and `matches`."""
    text = re.sub(r"\{\{ config\(.*?\) \}\}", "", path.read_text("utf-8"))
    return text.replace("{{ source('ops', 'pair_verdicts') }}", "pair_verdicts").replace(
        "{{ ref('fct_conversion_matches') }}", "matches"
    )


def _promotions(name: str, make: Callable[[int], Sample], seeds: Sequence[int]) -> Line:
    gains = [_gain(make, seed) for seed in seeds]
    before, after = (float(np.mean(each)) for each in zip(*gains, strict=True))
    return Line(
        f"average precision after two weeks, promotions {name}",
        f"{before:.3f} to {after:.3f}",
        f"at least {_LEAST_GAIN:g} more",
        after - before >= _LEAST_GAIN,
    )


def _gain(make: Callable[[int], Sample], seed: int) -> tuple[float, float]:
    """Return the average precision by the scorecard, and by the model after two weeks."""
    accounts, is_abuser = _accounts(make(seed))
    population = Population.of(accounts)
    card = scorecard(population)
    rings = inject_rings(accounts)
    reviewer = Reviewer(seed)
    label = np.full(len(accounts), np.nan)
    model: AbuseModel = card
    for _ in range(2):
        score = model.log_odds(gather(accounts, model.population).columns)
        for _ in range(_DAYS // 2):
            waiting = np.flatnonzero(np.isnan(label))
            shown = waiting[np.argsort(-score[waiting], kind="stable")[:_A_DAY]]
            label[shown] = reviewer.judge(is_abuser[shown])
        model = _trained(accounts, label, model, rings)
    before, after = (one.log_odds(gather(accounts, one.population).columns) for one in (card, model))
    return float(average_precision_score(is_abuser, before)), float(average_precision_score(is_abuser, after))


def _trained(accounts: Accounts, label: np.ndarray, current: AbuseModel, rings: InjectedRings) -> AbuseModel:
    return choose_model(accounts, label, current, rings=rings, policy=read_policy()).model


def _accounts(sample: Sample) -> tuple[Accounts, np.ndarray]:
    frames: Mapping[str, pd.DataFrame] = dict(
        zip(("users", "codes", "usages"), (file.rows for file in sample.files), strict=True)
    )
    users = frames["users"]
    typed = {column: pd.to_datetime(users[column]) for column in ("created_at", "dob")}
    used = frames["usages"].assign(used_at=pd.to_datetime(frames["usages"]["used_at"]))
    accounts = accounts_of(users.assign(**typed), used)
    truth = sample.truth["promo_users"].set_index("user_id").loc[accounts.user_id.to_pylist()]
    return accounts, truth["is_abuser"].to_numpy(dtype=bool)
