"""Account farms: who belongs to one, and what its accounts share."""

from __future__ import annotations

import pandas as pd
import pytest

from quintet.samples.promotions_farms import FarmsWorld, make_farms

WORLD = FarmsWorld(users=4_000, farm_share=0.1)


@pytest.fixture(scope="module")
def users() -> pd.DataFrame:
    """Return the users with their truth."""
    sample = make_farms(WORLD, 5)
    return sample.files[0].rows.merge(sample.truth["promo_users"], on="user_id", suffixes=("_label", ""))


def test_farms_differ_in_size_and_speed(users: pd.DataFrame):
    farms = users[users["is_abuser"]].groupby("ring_id").agg(size=("user_id", "size"), days=("ring_days", "first"))

    assert users["is_abuser"].mean() == pytest.approx(0.1, abs=0.03)
    assert farms["size"].min() < 10
    assert farms["size"].max() > 60
    assert farms["days"].min() < 2
    assert farms["days"].max() > 60


def test_a_farm_signs_up_within_its_time(users: pd.DataFrame):
    of_farms = users[users["is_abuser"]].groupby("ring_id")
    spread_days = of_farms["created_at"].agg(lambda at: (at.max() - at.min()).total_seconds() / 86_400)

    assert (spread_days <= of_farms["ring_days"].first() + 1e-3).all()


def test_accounts_of_a_farm_share_devices_and_honest_strangers_do_not(users: pd.DataFrame):
    shared = users.groupby("device_id")["user_id"].transform("size") > 1

    assert shared[users["is_abuser"]].mean() > 0.5
    assert shared[users["why"] == "honest"].mean() < 0.1
    assert shared[users["why"] == "cafe"].mean() > 0.9


def test_the_same_seed_gives_the_same_world():
    one, same, other = (make_farms(WORLD, seed).files[0].rows for seed in (1, 1, 2))

    pd.testing.assert_frame_equal(one, same)
    assert not one["email"].equals(other["email"])


def test_labels_are_absent_unless_asked_for(users: pd.DataFrame):
    labelled = make_farms(FarmsWorld(users=2_000, label_share=0.5), 5).files[0].rows["is_abuser"]

    assert users["is_abuser_label"].isna().all()
    assert labelled.notna().mean() == pytest.approx(0.5, abs=0.05)
