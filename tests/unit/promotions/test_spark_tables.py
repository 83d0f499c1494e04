"""What travels to a worker and back is what was sent, in whatever order its rows arrive."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from quintet.promotions import spark_tables as tables
from quintet.promotions.accounts import Accounts, accounts_of
from quintet.promotions.candidates import members_of
from quintet.promotions.identity import KINDS, identity_keys, number_anywhere
from quintet.promotions.profile import Population
from tests.unit.promotions.warehouse_worlds import people


@pytest.fixture(scope="module")
def accounts() -> Accounts:
    return accounts_of(people().users.head(60), people().usages)


def test_stretches_hold_every_account_once(accounts: Accounts) -> None:
    found = list(tables.stretches(accounts, 25))

    assert [len(stretch) for stretch in found] == [25, 25, 10]
    shuffled = pa.concat_tables(found).take(pa.array(np.random.default_rng(1).permutation(60)))
    row, same = tables.accounts(shuffled)
    np.testing.assert_array_equal(row, np.arange(60))
    for name, values in accounts.fields.items():
        assert same.fields[name].to_pylist() == pa.array(values).to_pylist(), name
    for name in ("created_at_s", "use_lag_days", "uses", "code_start"):
        np.testing.assert_array_equal(getattr(same, name), getattr(accounts, name), name)
    assert same.code.to_pylist() == pa.array(accounts.code).to_pylist()


def test_members_and_pairs_come_back_in_their_order(accounts: Accounts) -> None:
    population = Population.of(accounts)
    members = members_of(accounts, population, number_anywhere)
    own = {name: np.zeros(60) for name in tables.OWN}
    rows = tables.described(np.arange(60), members, identity_keys(accounts, population.key_rules), own)
    sharers = [[0] * len(KINDS), [*range(len(KINDS))]]
    pairs = pa.table({"a": [7, 3], "b": [9, 40], "sharers": sharers, "weight": [2.0, 1.0]})
    together = pa.concat_tables([tables.together(pairs), tables.together(rows)])

    seen = tables.seen_together(together.take(pa.array(np.random.default_rng(2).permutation(62))))
    assert seen.pairs.a.tolist() == [3, 7]
    assert seen.pairs.b.tolist() == [40, 9]
    assert seen.pairs.sharers.tolist() == sharers[::-1]
    assert seen.weight.tolist() == [1.0, 2.0]
    np.testing.assert_array_equal(seen.members.code, members.code)
    np.testing.assert_array_equal(seen.members.code_start, members.code_start)
    np.testing.assert_array_equal(seen.members.name, members.name)


def test_numbers_of_texts_are_the_same_in_every_process() -> None:
    assert number_anywhere(("Mozilla/5.0",)) == -798_140_571_778_971_974
    assert number_anywhere(("a", "bc")) != number_anywhere(("ab", "c"))
