"""The quality of the abuse detector, on the real file and on generated worlds with seeds that it was not tuned on."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from quintet.promotions.accounts import Accounts, accounts_of
from quintet.promotions.evidence import gather
from quintet.promotions.model import scorecard
from quintet.promotions.model_card import recall_at
from quintet.promotions.online_index import OnlineIndex
from quintet.promotions.policy import read_policy
from quintet.promotions.profile import Population
from quintet.promotions.score import scored
from quintet.promotions.training import train
from tests.unit.promotions.worlds import FEW_ALONE, HARD, RINGS, judge_and_add, requests, world

POLICY = read_policy()
USERS = 10_000
HONEST_SHARERS = ["carrier_nat", "household", "office", "second_hand_device"]


WORLDS = {"rings": RINGS, "hard": HARD, "few alone": FEW_ALONE}


@cache
def rings(seed: int, name: str) -> tuple[Accounts, Population, Any, pd.DataFrame]:
    """Return a generated world, its evidence, and the truth by row."""
    users, usages, truth = world(seed, USERS, **WORLDS[name])
    accounts = accounts_of(users, usages)
    population = Population.of(accounts)
    truth = truth.loc[accounts.fields["user_id"].to_pylist()]
    return accounts, population, gather(accounts, population), truth


def by_hash(names: pd.Series, share: float) -> np.ndarray:
    """Return which names are among this share, by their hash."""
    return pd.util.hash_pandas_object(names, index=False).to_numpy() % 1_000 < share * 1_000


@pytest.mark.parametrize(("name", "floor"), [("rings", 0.86), ("hard", 0.68)])
def test_rings_are_found_without_labels(name: str, floor: float, random_seed: int) -> None:
    _, population, matrix, truth = rings(1_000 + random_seed, name)

    assert average_precision_score(truth["is_abuser"], scorecard(population).scores(matrix.columns)) >= floor


@pytest.mark.parametrize(
    ("name", "floor", "recall_floor", "of_ceiling"),
    [("rings", 0.88, 0.86, 0.97), ("hard", 0.69, 0.64, 0.94), ("few alone", 0.95, 0.93, 0.97)],
)
def test_rings_are_found_better_with_a_fifth_of_the_labels_split_by_ring(
    name: str, floor: float, recall_floor: float, of_ceiling: float, random_seed: int
) -> None:
    accounts, population, matrix, truth = rings(1_000 + random_seed, name)
    is_abuser = truth["is_abuser"].to_numpy()
    ring = truth["ring_id"].fillna(truth.index.to_series()).reset_index(drop=True)
    is_labelled = by_hash(ring, 0.2)
    label = np.where(is_labelled, is_abuser.astype(float), np.nan)
    model = train(matrix.columns, label, matrix.component, accounts.created_at_s, population).model
    score = model.scores(matrix.columns)[~is_labelled]
    precision = average_precision_score(is_abuser[~is_labelled], score)

    assert precision >= floor
    assert recall_at(is_abuser[~is_labelled], score, 0.01) >= recall_floor
    assert precision >= of_ceiling * ceiling(is_abuser[~is_labelled], truth["ring_id"].notna().to_numpy()[~is_labelled])


def ceiling(is_abuser: np.ndarray, is_in_ring: np.ndarray) -> float:
    """Return the average precision of perfect knowledge of rings; lone abusers share nothing and look honest."""
    chance = np.random.default_rng(0)
    return float(
        np.mean([average_precision_score(is_abuser, is_in_ring + chance.random(len(is_abuser)) / 2) for _ in range(20)])
    )


@pytest.mark.parametrize("name", ["rings", "hard"])
def test_honest_people_who_share_are_not_blocked(name: str, random_seed: int) -> None:
    accounts, population, matrix, truth = rings(1_000 + random_seed, name)
    decisions = scored(accounts, matrix, scorecard(population), POLICY).scores["decision"].to_numpy()
    shares = truth["why"].isin(HONEST_SHARERS).to_numpy()

    assert set(HONEST_SHARERS) <= set(truth["why"])
    assert (decisions[shares] == "block").mean() <= 0.005


def test_most_of_a_ring_is_seen_at_sign_up_already(random_seed: int) -> None:
    # Each account is scored against earlier ones; the first of a ring cannot be recognised.
    users, usages, truth = world(2_000 + random_seed, 3_000, **RINGS)
    everybody = accounts_of(users, usages)
    index = OnlineIndex(accounts_of(users.head(0)), scorecard(Population.of(everybody)), POLICY)
    order = users.sort_values("created_at")
    score = np.array([judge_and_add(index, sign_up, uses).score for sign_up, uses in requests(order, usages)])
    is_abuser = truth.loc[order["user_id"], "is_abuser"].to_numpy()

    assert average_precision_score(is_abuser, score) > 0.5
    assert is_abuser[score >= POLICY.block_from].mean() > 0.95


@pytest.fixture(scope="module")
def real_users(real_data: Path) -> tuple[Accounts, np.ndarray]:
    """Return the accounts of the real files, and their labels."""
    users, usages = (next((real_data / name).glob("*.csv")) for name in ("promo_users", "promo_usages"))
    with duckdb.connect() as connection:
        text = "read_csv(?, all_varchar = true)"
        accounts = accounts_of(
            connection.sql(
                f"select * replace (created_at::timestamp as created_at, dob::date as dob) from {text}",
                params=[str(users)],
            ).to_arrow_table(),
            connection.sql(
                f"select * replace (used_at::timestamp as used_at) from {text}", params=[str(usages)]
            ).to_arrow_table(),
        )
        labels = dict(connection.execute(f"select user_id, is_abuser = 'TRUE' from {text}", [str(users)]).fetchall())
    return accounts, np.array([labels[user] for user in accounts.fields["user_id"].to_pylist()], dtype=bool)


@pytest.mark.real_data
def test_the_real_abusers_are_found_without_labels(real_users: tuple[Accounts, np.ndarray]) -> None:
    accounts, is_abuser = real_users
    population = Population.of(accounts)
    score = scorecard(population).scores(gather(accounts, population).columns)

    assert average_precision_score(is_abuser, score) >= 0.70
    assert is_abuser[score >= POLICY.review_from].all()
    assert (score[is_abuser] >= POLICY.review_from).mean() == pytest.approx(140 / 196)


@pytest.mark.real_data
@pytest.mark.parametrize("by", ["hash", "time"])
def test_the_real_abusers_that_were_held_back_are_found_with_labels(
    by: str, real_users: tuple[Accounts, np.ndarray]
) -> None:
    accounts, is_abuser = real_users
    population = Population.of(accounts)
    matrix = gather(accounts, population)
    if by == "hash":
        is_known = by_hash(accounts.fields["user_id"].to_pandas(), 0.5)
    else:
        is_known = accounts.created_at_s < np.median(accounts.created_at_s)
    label = np.where(is_known, is_abuser.astype(float), np.nan)
    model = train(matrix.columns, label, matrix.component, accounts.created_at_s, population).model
    score, held_back = model.scores(matrix.columns)[~is_known], is_abuser[~is_known]

    assert average_precision_score(held_back, score) >= 0.67
    assert held_back[score >= POLICY.review_from].all()
    assert (score[held_back] >= POLICY.review_from).mean() >= 0.66
