"""Evidence that a cluster gathers equals the evidence gathered here, however accounts are grouped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from quintet.promotions.accounts import Accounts, accounts_of
from quintet.promotions.evidence import gather
from quintet.promotions.identity import NEAREST
from quintet.promotions.links import LARGEST_CLUSTER
from quintet.promotions.profile import Population
from quintet.promotions.spark_links import gather_on
from tests.groups_here import GroupsHere
from tests.unit.promotions.equal_evidence import assert_equal
from tests.unit.promotions.warehouse_worlds import people


def crowd_with_a_ring(members: int) -> Accounts:
    """Return 800 people, and a ring whose accounts all have one device."""
    users, usages = people().users, people().usages
    ring = (
        users.head(1)
        .loc[[0] * members]
        .assign(
            user_id=[f"ring{number}" for number in range(members)],
            device_id="one-device-for-all",
            created_at=pd.Timestamp("2024-05-01") + pd.to_timedelta(np.arange(members) % 50, "h"),
            email=[f"m{number * 7}@example.org" for number in range(members)],
        )
    )
    return accounts_of(pd.concat([users, ring], ignore_index=True), usages)


@pytest.mark.parametrize("group_rows", [150, 100_000])
def test_the_evidence_equals_that_gathered_here_at_any_size_of_groups(tmp_path: Path, group_rows: int) -> None:
    accounts = accounts_of(people().users, people().usages)
    population = Population.of(accounts)
    groups = GroupsHere(tmp_path, group_rows)

    assert_equal(gather_on(groups)(accounts, population), gather(accounts, population))
    assert groups.groups == 3 if group_rows > len(accounts) else groups.groups > 12
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_that_exceeds_a_group_is_split_and_changes_no_digit(tmp_path: Path) -> None:
    accounts = crowd_with_a_ring(500)
    population = Population.of(accounts)
    whole = gather(accounts, population)
    [largest] = np.bincount(whole.component).max(keepdims=True)
    groups = GroupsHere(tmp_path, 1_000)

    assert_equal(gather_on(groups)(accounts, population), whole)
    assert largest > LARGEST_CLUSTER
    assert len(whole.link_a) > 5 * groups.group_rows  # in one group they would be as many rows
    # a stretch of pairs has their accounts too, and a part of accounts ends with a whole cluster
    assert groups.most_rows <= 3 * groups.group_rows + LARGEST_CLUSTER * NEAREST


@pytest.mark.parametrize("users", [0, 1])
def test_few_accounts_have_no_links(tmp_path: Path, users: int) -> None:
    accounts = accounts_of(people().users.head(users), people().usages.head(0))
    population = Population.of(accounts)

    assert_equal(gather_on(GroupsHere(tmp_path, 10))(accounts, population), gather(accounts, population))
