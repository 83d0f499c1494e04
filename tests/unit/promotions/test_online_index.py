"""The online index: a sign-up gets the same score as in a batch, and joins once."""

from __future__ import annotations

import gc
import threading
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quintet.promotions.accounts import SignUp, Usage, accounts_of
from quintet.promotions.candidate_graph import Added
from quintet.promotions.links import LARGEST_CLUSTER
from quintet.promotions.model import AbuseModel, scorecard
from quintet.promotions.online_index import OnlineIndex, Query
from quintet.promotions.policy import read_policy
from quintet.promotions.profile import Population
from tests.unit.promotions.worlds import judge_and_add, requests, score_batch, small_world

POLICY = read_policy()


@cache
def model() -> AbuseModel:
    users, usages, _ = small_world()
    return scorecard(Population.of(accounts_of(users, usages)))


def index(users: pd.DataFrame, usages: pd.DataFrame | None = None) -> OnlineIndex:
    return OnlineIndex(accounts_of(users, usages), model(), POLICY)


def empty_index() -> OnlineIndex:
    return index(small_world()[0].head(0))


def assert_equal_to_batch(judged: OnlineIndex, queries: list, users: pd.DataFrame, usages: pd.DataFrame) -> None:
    batch = score_batch(users, usages, model(), POLICY).set_index("user_id")
    for sign_up, uses in queries:
        judgement, row = judged.judge(sign_up, uses), batch.loc[sign_up.user_id]
        assert judgement.score == pytest.approx(row["score"], abs=1e-9)
        assert [reason.code for reason in judgement.reasons] == row["reasons"]
        assert (judgement.decision, judgement.model_version) == (row["decision"], row["model_version"])
        if judgement.cluster_size <= LARGEST_CLUSTER:
            assert judgement.cluster_size == row["cluster_size"]
            assert judgement.cluster_id == (None if pd.isna(row["cluster_id"]) else row["cluster_id"])


def test_judgements_equal_the_batch_where_all_are_known():
    users, usages, truth = small_world()
    queries = users[users["user_id"].isin(truth.index[truth["is_abuser"]])].head(150)

    assert_equal_to_batch(index(users, usages), requests(pd.concat([queries, users.head(150)]), usages), users, usages)


def test_judgements_equal_the_batch_where_half_was_added_later():
    users, usages, _ = small_world()
    grown = index(users.iloc[::2], usages)
    for sign_up, uses in requests(users.iloc[1::2], usages):
        assert grown.add(sign_up, uses)

    assert_equal_to_batch(grown, requests(users.sample(200, random_state=3), usages), users, usages)


_few = st.integers(0, 3)
_people = st.lists(
    st.tuples(_few, _few, _few, _few, st.integers(0, 72), st.none() | _few, st.booleans(), st.none() | _few),
    min_size=1,
    max_size=24,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_people)
def test_any_accounts_with_shared_keys_are_scored_as_in_the_batch(people: list):
    users = pd.DataFrame(
        [
            {
                "user_id": f"u{number:02}",
                "created_at": pd.Timestamp("2023-01-01") + pd.Timedelta(hours=hours),
                "device_id": f"d{device}-{number * late}",
                "email": f"someone{email}+{number}@x.y",
                "phone": f"1505123{phone}{number:03}",
                "ip_address": f"8.8.{address}.{address}",
                "user_agent": None if agent is None else f"tool/{agent}",
            }
            for number, (device, email, phone, address, hours, _, late, agent) in enumerate(people)
        ]
    )
    usages = pd.DataFrame(
        [
            (f"u{at:02}", f"C{row[5]}", pd.Timestamp("2023-02-01"))
            for at, row in enumerate(people)
            if row[5] is not None
        ],
        columns=["user_id", "promo_code", "used_at"],
    ).astype({"promo_code": "str", "user_id": "str"})
    late = np.array([row[6] for row in people])
    grown = index(users[~late], usages)
    queries = requests(users, usages)
    for (sign_up, uses), is_late in zip(queries, late, strict=True):
        if is_late:
            grown.add(sign_up)
            for usage in uses:
                grown.add(SignUp(usage.user_id), [usage])

    assert_equal_to_batch(grown, queries, users, usages)


@pytest.mark.parametrize("count", [LARGEST_CLUSTER - 5, LARGEST_CLUSTER, LARGEST_CLUSTER + 5])
def test_a_chain_longer_than_the_largest_cluster_is_scored_as_in_the_batch(count: int):
    # Each shares a device with the previous account and an address with the next one.
    users = pd.DataFrame(
        [
            {"user_id": f"u{number:03}", "created_at": pd.Timestamp("2023-01-01") + pd.Timedelta(hours=number),
             "device_id": f"d{number // 2}", "email": f"e{(number + 1) // 2}@x.y"}
            for number in range(count)
        ]
    )  # fmt: skip
    usages = pd.DataFrame({"user_id": users["user_id"], "promo_code": "C", "used_at": pd.Timestamp("2023-03-01")})

    assert score_batch(users, usages, model(), POLICY)["cluster_size"].max() == count
    assert_equal_to_batch(index(users, usages), requests(users.iloc[[0, 7, count // 2, -1]], usages), users, usages)


def test_a_user_joins_once():
    known = empty_index()
    sign_up = SignUp("u", device_id="d")

    assert [known.add(sign_up), known.add(sign_up)] == [True, False]
    assert len(known) == 1


def test_added_accounts_are_not_tracked_by_the_garbage_collector():
    judged = empty_index()
    for number in range(50):
        judged.add(SignUp(f"u{number}", None, f"{number}@x.org", device_id=f"d{number}"), [Usage(f"u{number}", "A")])
    gc.collect()

    assert not any(isinstance(one, Added) for one in gc.get_objects())
    assert judged.judge(SignUp("late", None, "7@x.org", device_id="d7")).linked[0].user_id == "u7"


def test_the_first_sign_up_of_a_user_is_used():
    known = empty_index()
    known.add(SignUp("u", device_id="first"))
    known.add(SignUp("u", device_id="second"))

    assert known.judge(SignUp("v", device_id="second")).reasons == ()
    shares_first = known.judge(SignUp("v", device_id="first"))
    assert shares_first.score > known.judge(SignUp("v", device_id="second")).score


def test_judging_does_not_change_the_index():
    known = empty_index()
    sign_up = SignUp("u", device_id="d")

    assert known.judge(sign_up) == known.judge(sign_up)
    assert len(known) == 0


def test_a_judged_sign_up_that_joins_is_known_to_the_next():
    one, other = empty_index(), empty_index()
    for number in range(4):
        sign_up = SignUp(f"u{number}", pd.Timestamp("2023-01-01"), device_id="d", email=f"a+{number}@x.y")
        uses = [Usage(sign_up.user_id, "C", pd.Timestamp("2023-01-02"))]
        expected = one.judge(sign_up, uses)
        one.add(sign_up, uses)
        assert judge_and_add(other, sign_up, uses) == expected

    assert len(other) == 4
    assert expected.decision == "block"
    assert {linked.user_id for linked in expected.linked} == {"u0", "u1", "u2"}
    assert set(expected.linked[0].shares) == {"device", "email", "mail_domain", "code_burst"}


def test_a_batch_of_queries_is_judged_as_if_in_sequence():
    users, usages, truth = small_world()
    abusers = users[users["user_id"].isin(truth.index[truth["is_abuser"]])].head(60)
    given = requests(pd.concat([abusers, users.head(60), abusers.head(5)]), usages)
    queries = [Query(sign_up, uses, joins=number % 7 != 0) for number, (sign_up, uses) in enumerate(given)]
    one, other = index(users.iloc[100::2], usages), index(users.iloc[100::2], usages)

    together = one.judge_in_turn(queries)
    for each, judgement in zip(queries, together, strict=True):
        expected = (judge_and_add if each.joins else OnlineIndex.judge)(other, each.sign_up, each.usages)
        assert judgement.score == pytest.approx(expected.score, abs=1e-12)
        assert replace(judgement, score=expected.score) == expected
    assert len(one) == len(other)
    assert max(judgement.cluster_size for judgement in together) > 2


def test_a_use_that_is_added_twice_counts_once():
    users, usages, _ = small_world()
    sign_up, uses = next(queries for queries in requests(users, usages) if queries[1])
    known = index(users, usages)
    before = known.judge(replace(sign_up, user_id="guest"), uses)
    assert not known.add(SignUp(sign_up.user_id), [uses[0]])

    assert known.judge(replace(sign_up, user_id="guest"), uses) == before


def test_the_same_user_by_many_threads_joins_once():
    known = empty_index()
    joined: list[bool] = []
    sign_ups = [SignUp(f"u{number % 20}", pd.Timestamp("2023-01-01"), device_id="d") for number in range(200)]

    def work(part: list[SignUp]) -> None:
        for sign_up in part:
            known.judge(sign_up)
            joined.append(known.add(sign_up))

    threads = [threading.Thread(target=work, args=(sign_ups[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(known), sum(joined), len(joined)) == (20, 20, 200)


@pytest.mark.parametrize(
    "given",
    [
        {"email": None, "phone": "9" * 40, "dob": "2190-01-01", "first_name": "👾👾", "ip_address": "10.0.0.1"},
        {"ip_address": "2001:db8::1", "created_at": "not a time", "email": "\ud83d"},
        {"ip_address": {"nested": 1}, "device_id": ["list"], "phone": -1, "anything": object()},
        {},
    ],
)
def test_bad_input_is_judged(given: dict):
    users, usages, _ = small_world()
    judgement = index(users, usages).judge(
        SignUp.of(given | {"user_id": "guest"}), [Usage("guest", "no such code", None)]
    )

    assert 0 <= judgement.score <= 1
