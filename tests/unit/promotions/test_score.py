"""The scores of a batch: columns, order, and arbitrary sign-ups."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from quintet.promotions.accounts import accounts_of
from quintet.promotions.evidence import gather
from quintet.promotions.model import AbuseModel, scorecard
from quintet.promotions.policy import read_policy
from quintet.promotions.profile import Population
from quintet.promotions.score import scored
from tests.unit.promotions.worlds import score_batch, small_world

POLICY = read_policy()


@pytest.fixture(scope="module")
def model() -> AbuseModel:
    users, usages, _ = small_world()
    return scorecard(Population.of(accounts_of(users, usages)))


@pytest.fixture(scope="module")
def scores(model: AbuseModel) -> pd.DataFrame:
    users, usages, _ = small_world()
    return score_batch(users, usages, model, POLICY)


def test_each_user_has_one_score(scores: pd.DataFrame):
    assert sorted(scores["user_id"]) == sorted(small_world()[0]["user_id"])
    assert scores["score"].between(0, 1).all()


def test_the_order_of_rows_does_not_matter(scores: pd.DataFrame, model: AbuseModel):
    users, usages, _ = small_world()
    shuffled = score_batch(users.sample(frac=1, random_state=1), usages.sample(frac=1, random_state=2), model, POLICY)

    pd.testing.assert_frame_equal(shuffled, scores, rtol=0, atol=1e-12)


def test_arrow_and_pandas_give_the_same(scores: pd.DataFrame, model: AbuseModel):
    users, usages, _ = small_world()
    tables = [pa.Table.from_pandas(rows, preserve_index=False) for rows in (users, usages)]
    by_arrow = score_batch(*tables, model, POLICY)

    pd.testing.assert_frame_equal(by_arrow, scores)


def test_blocked_and_reviewed_accounts_have_a_reason_and_a_decision_by_the_policy(scores: pd.DataFrame):
    flagged = scores[scores["decision"] != "allow"]

    assert len(flagged) > 100
    assert flagged["reasons"].map(len).gt(0).all()
    assert (scores["decision"] == "block").eq(scores["score"] >= POLICY.block_from).all()


def test_a_cluster_is_named_by_its_least_user_and_counts_its_members(scores: pd.DataFrame):
    clusters = scores.dropna(subset="cluster_id").groupby("cluster_id")

    assert clusters["user_id"].min().eq(clusters["user_id"].min().index).all()
    assert clusters["user_id"].size().eq(clusters["cluster_size"].first()).all()
    assert scores.loc[scores["cluster_id"].isna(), "cluster_size"].eq(1).all()


def test_links_stay_within_clusters(model: AbuseModel):
    users, usages, _ = small_world()
    accounts = accounts_of(users, usages)
    batch = scored(accounts, gather(accounts, model.population), model, POLICY)
    cluster = batch.scores.set_index("user_id")["cluster_id"]

    assert len(batch.links) > 100
    assert (cluster[batch.links["user_id"]].to_numpy() == cluster[batch.links["linked_user_id"]].to_numpy()).all()


@pytest.mark.parametrize("count", [0, 1])
def test_zero_and_one_accounts_can_be_scored(count: int):
    users = small_world()[0].head(count)
    scores = score_batch(users, None, scorecard(Population.of(accounts_of(users))), POLICY)

    assert len(scores) == count
    assert (scores["decision"] == "allow").all()


def test_bad_values_are_accepted(model: AbuseModel):
    odd = pd.DataFrame(
        {
            "user_id": ["1", "2", "3", "3", None],
            "created_at": [None, None, None, None, None],
            "email": [None, "@", "👾@👾", "a@b", "a@b"],
            "phone": ["9" * 40, "", None, "☎", "1"],
            "first_name": ["👾", None, "", "x" * 5_000, "a"],
            "ip_address": ["::1", "2001:db8::1", "10.0.0.1", "999.1.1.1", "x"],
            "dob": ["2190-01-01", "1000-01-01", None, None, None],
            "unknown": [1, 2, 3, 4, 5],
        }
    ).assign(dob=lambda rows: pd.to_datetime(rows["dob"]))
    scores = score_batch(odd, small_world()[1], model, POLICY)

    assert scores["user_id"].tolist() == ["1", "2", "3"]
    assert scores["score"].between(0, 1).all()
    assert "PHONE_MALFORMED" in scores["reasons"].iloc[0]
