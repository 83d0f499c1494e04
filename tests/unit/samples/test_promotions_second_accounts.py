"""People with several accounts: who they are, and what they forget to change."""

from __future__ import annotations

import pandas as pd
import pytest

from quintet.samples.promotions_second_accounts import SecondAccountsWorld, make_second_accounts

WORLD = SecondAccountsWorld(users=4_000, share=0.1)


@pytest.fixture(scope="module")
def users() -> pd.DataFrame:
    """Return the users with their truth."""
    sample = make_second_accounts(WORLD, 5)
    return sample.files[0].rows.merge(sample.truth["promo_users"], on="user_id", suffixes=("_label", ""))


def test_a_person_has_a_handful_of_accounts_over_weeks(users: pd.DataFrame):
    people = users[users["is_abuser"]].groupby("ring_id")

    assert people.size().between(3, 15).all()
    assert people["ring_days"].first().median() > 30


def test_a_device_is_used_until_it_is_reset(users: pd.DataFrame):
    devices = users[users["is_abuser"]].sort_values("created_at").groupby("ring_id")["device_id"]

    assert (devices.nunique() < devices.size()).mean() > 0.8
    assert devices.nunique().mean() > 1.5


def test_accounts_of_a_person_are_in_one_city_and_one_network(users: pd.DataFrame):
    several = users[users["is_abuser"]]
    network = several["ip_address"].str.rsplit(".", n=1).str[0]

    assert (several.groupby("ring_id")["city"].nunique() == 1).all()
    assert (network.groupby(several["ring_id"]).nunique() == 1).all()


def test_couples_share_an_address_and_are_honest(users: pd.DataFrame):
    couples = users[users["why"] == "couple"]

    assert (couples.groupby("ip_address").size() >= 2).mean() > 0.95
    assert not couples["is_abuser"].any()
