"""Links: which accounts are linked, which are not, and the evidence of a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.promotions.accounts import Accounts
from quintet.promotions.candidates import members_of, pairs_of
from quintet.promotions.evidence import EVIDENCE, gather
from quintet.promotions.identity import KIND_NAMES, KINDS
from quintet.promotions.links import (
    LINK_FROM,
    NEAR_FROM,
    Pairs,
    burst_seconds,
    components,
    link_evidence,
    pair_weights,
    points_by_sharers,
)
from quintet.promotions.profile import Population
from tests.unit.promotions.worlds import accounts

FIRST_DAY, DAY = np.datetime64("2020-01-01"), np.timedelta64(1, "D")


def crowd(*rows: dict[str, Any], usages: list[tuple[str, str, str]] | None = None) -> tuple[Accounts, Population]:
    """Return the rows among 300 people who share nothing and sign up over three years, and the population of all."""
    people = [
        {"user_id": f"z{number:03}", "created_at": str(FIRST_DAY + number * 4 * DAY), "device_id": f"z{number}"}
        for number in range(300)
    ]
    used = [(person["user_id"], f"code{number}", "2024-01-01") for number, person in enumerate(people)]
    everybody = accounts(*rows, *people, usages=used + (usages or []))
    return everybody, Population.of(everybody)


def weight(*rows: dict[str, Any], usages: list[tuple[str, str, str]] | None = None) -> float:
    """Return the weight of the first pair of the rows, 0 without any."""
    everybody, population = crowd(*rows, usages=usages)
    weights, _ = pair_weights(pairs_of(everybody, population), members_of(everybody, population), population)
    return float(weights[0]) if len(weights) else 0.0


def found_pairs(*rows: dict[str, Any]) -> Pairs:
    everybody = accounts(*rows)
    return pairs_of(everybody, Population.of(everybody))


def evidence(user: int, *rows: dict[str, Any], usages: list[tuple[str, str, str]] | None = None) -> dict[str, float]:
    everybody, population = crowd(*rows, usages=usages)
    return dict(zip(EVIDENCE, gather(everybody, population).columns[user].tolist(), strict=True))


A = {"user_id": "a", "created_at": "2021-01-01 10:00"}
SOON = {"user_id": "b", "created_at": "2021-01-01 13:00"}
LATER = {"user_id": "b", "created_at": "2023-01-01"}


def test_a_shared_device_in_a_burst_links_and_two_years_apart_hardly():
    device = {"device_id": "one"}

    assert weight(A | device, SOON | device) > weight(A | device, LATER | device) + 1
    assert weight(A | device, SOON | device) > LINK_FROM


def test_people_who_share_nothing_form_no_pair():
    assert weight(A | {"device_id": "one"}, SOON | {"device_id": "two"}) == 0


def test_a_shared_address_alone_does_not_link():
    address = {"ip_address": "8.8.4.4"}

    assert 0 < weight(A | address, LATER | address) < LINK_FROM


def test_an_address_means_less_the_more_share_it():
    address = {"ip_address": "8.8.4.4"}
    others = [{"user_id": f"c{number}", "created_at": "2022-01-01"} | address for number in range(10)]

    assert weight(A | address, SOON | address, *others) < weight(A | address, SOON | address)


def test_a_hub_makes_no_pairs():
    office = [
        {"user_id": f"a{number:02}", "created_at": "2021-01-01", "ip_address": "8.8.4.4", "device_id": f"d{number}"}
        for number in range(51)
    ]

    assert len(found_pairs(*office).a) == 0
    assert len(found_pairs(*office[:50]).a) == 50 * 49 / 2


@pytest.mark.parametrize("count", [30, 31, 200])
def test_a_strong_key_pairs_each_account_with_those_nearest_in_time(count: int):
    ring = [
        {"user_id": f"a{number:03}", "created_at": f"2021-01-01 {number // 60:02}:{number % 60:02}"}
        | {"device_id": "one"}
        for number in range(count)
    ]
    pairs = found_pairs(*ring)
    held = np.bincount(np.concatenate([pairs.a, pairs.b]), minlength=count)

    assert set(pairs.sharers[:, 0]) == {count}
    assert held.max() <= 30
    assert held.min() >= min(count - 1, 15)


def test_a_rare_code_in_common_adds_weight():
    device = {"device_id": "one"}

    same = weight(A | device, LATER | device, usages=[("a", "X", "2023-02-01"), ("b", "X", "2023-02-01")])
    other = weight(A | device, LATER | device, usages=[("a", "X", "2023-02-01"), ("b", "Y", "2023-02-01")])
    assert same > other + 0.5


def test_names_that_are_alike_add_weight():
    device = {"device_id": "one", "last_name": "Mueller"}

    alike = weight(A | device | {"first_name": "Johann"}, LATER | device | {"first_name": "Johan"})
    unlike = weight(A | device | {"first_name": "Johann"}, LATER | device | {"first_name": "Brigitte"})
    assert alike > unlike + 0.3


def test_a_kind_of_key_that_all_share_means_little():
    rare, common = (
        [
            {"user_id": f"u{number:03}", "created_at": str(FIRST_DAY + number * DAY),
             "device_id": f"d{number // 2 if number < sharing else number + 1_000}"}
            for number in range(400)
        ]
        for sharing in (4, 400)
    )  # fmt: skip

    weights = []
    for rows in (rare, common):
        everybody = accounts(*rows)
        population = Population.of(everybody)
        weights.append(
            pair_weights(pairs_of(everybody, population), members_of(everybody, population), population)[0][0]
        )
    assert weights[1] < weights[0] / 2


def test_a_ring_is_one_cluster_with_its_burst_and_its_code():
    ring = [
        {"user_id": f"a{number}", "created_at": f"2021-01-01 1{number}:00", "device_id": "one"} for number in range(4)
    ]
    values = evidence(2, *ring, usages=[(f"a{number}", "X", "2021-01-02") for number in range(3)])

    assert values["cluster_size"] == pytest.approx(np.log2(4))
    assert values["burst"] == pytest.approx(np.log1p(3))
    assert values["same_code"] == pytest.approx(np.log1p(2))
    assert values["device_shared"] == pytest.approx(2)
    assert values["best_pair"] >= values["next_pair"] > LINK_FROM


RING = [{"user_id": f"a{number}", "created_at": "2021-01-01", "device_id": "one"} for number in range(6)]


@pytest.mark.parametrize("flag", ["is_phone_verified", "is_email_verified"])
def test_linked_accounts_that_never_verified_are_a_surprise_where_most_people_verify(flag: str):
    name = {"is_phone_verified": "unverified_phones", "is_email_verified": "unverified_emails"}[flag]
    people = [{"user_id": f"y{number:03}", flag: number % 5 > 0} for number in range(300)]

    assert evidence(0, *(one | {flag: False} for one in RING), *people)[name] > 2
    assert evidence(0, *(one | {flag: True} for one in RING), *people)[name] == 0
    assert evidence(0, *RING, *people)[name] == 0


def test_linked_accounts_with_one_rare_user_agent_agree_beyond_chance():
    people = [{"user_id": f"y{number:03}", "user_agent": "browser"} for number in range(300)]
    ring = [one | {"device_id": f"d{number}", "phone": "+1 505 123 4567"} for number, one in enumerate(RING)]

    assert evidence(0, *(one | {"user_agent": "script"} for one in ring), *people)["same_agent"] > 2
    assert evidence(0, *(one | {"user_agent": "browser"} for one in ring), *people)["same_agent"] < 0.1


def test_the_user_agent_of_one_device_says_no_more_than_the_device():
    people = [{"user_id": f"y{number:03}", "user_agent": "browser"} for number in range(300)]

    assert evidence(0, *(one | {"user_agent": "script"} for one in RING), *people)["same_agent"] == 0


@pytest.mark.parametrize(("used_at", "is_early"), [("2021-01-01 01:00", True), ("2021-06-01", False)])
def test_linked_accounts_that_use_codes_sooner_than_most_agree_beyond_chance(used_at: str, is_early: bool):
    people = [{"user_id": f"y{number:03}", "created_at": "2021-01-01"} for number in range(300)]
    later = [(one["user_id"], f"code{number}", f"2021-02-{1 + number % 28:02}") for number, one in enumerate(people)]
    values = evidence(0, *RING, *people, usages=[*later, *((one["user_id"], "X", used_at) for one in RING)])

    assert (values["early_uses"] > 1.5) == is_early


@pytest.mark.parametrize(("families", "is_surprise"), [("one name", True), ("two names", False)])
def test_linked_accounts_of_which_no_two_have_one_family_name_are_a_surprise_where_families_do(
    families: str, is_surprise: bool
):
    homes = [
        {
            "user_id": f"y{number:03}",
            "device_id": f"home {number // 2}",
            "first_name": "Leo",
            "last_name": f"Home{'abcdefghij'[number // 2 % 10] * 5}" if families == "one name" else f"N{number}",
        }
        for number in range(200)
    ]
    letters = "kbwxyz"
    ring = [one | {"first_name": "Ana", "last_name": letters[at] * 6} for at, one in enumerate(RING)]
    kin = [one | {"first_name": f"Ana{at}", "last_name": "Ruiz"} for at, one in enumerate(RING)]

    assert (evidence(0, *ring, *homes)["strangers"] > 2) == is_surprise
    assert evidence(0, *kin, *homes)["strangers"] == 0
    assert evidence(0, *RING, *homes)["strangers"] == 0


def test_numbered_mailboxes_link_sign_ups_of_a_day_and_a_rare_code_adds_to_it():
    one, two = A | {"email": "ringleader1@example.com"}, SOON | {"email": "ring.leader2@example.com"}
    usages = [("a", "rare", "2024-01-01"), ("b", "rare", "2024-01-01")]

    assert weight(one, two, usages=usages) > weight(one, two) > LINK_FROM
    assert weight(one, two | {"email": "someone2@example.org"}) == 0
    assert weight(one, LATER | {"email": "ring.leader2@example.com"}) < LINK_FROM
    named = {"first_name": "Ring", "last_name": "Leader"}
    other = two | {"email": "someone2@example.com"}
    assert weight(one | named, two | named) == weight(one | named, other | named)


def test_linked_accounts_of_one_date_of_birth_are_counted():
    born = {"dob": "1990-05-17"}

    assert evidence(0, *(one | born for one in RING[:3]), *RING[3:])["same_birthday"] == pytest.approx(np.log1p(2))
    assert evidence(5, *(one | born for one in RING[:3]), *RING[3:])["same_birthday"] == 0


def test_an_account_alone_has_no_link_evidence():
    values = evidence(0, A)

    assert {name: values[name] for name in ("best_pair", "cluster_size", "burst", "same_code", "device_shared")} == {
        "best_pair": 0, "cluster_size": 0, "burst": 0, "same_code": 0, "device_shared": 0,
    }  # fmt: skip


def test_a_sign_up_without_a_time_can_share_but_cannot_burst():
    values = evidence(0, {"user_id": "a", "device_id": "one"}, SOON | {"device_id": "one"})

    assert values["device_shared"] == 1
    assert values["burst"] == 0


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=40))
def test_few_links_and_many_give_the_same_components(links):
    a, b = (np.array([link[side] for link in links], dtype=int) for side in (0, 1))
    again = np.tile(a, 501), np.tile(b, 501)  # the same links, more than few
    few, many = components(20, a, b), components(20, *again) if links else np.arange(20)
    assert (few[:, None] == few[None, :]).tolist() == (many[:, None] == many[None, :]).tolist()


def test_components_follow_links():
    assert components(4, np.array([0, 1]), np.array([1, 2])).tolist() == [0, 0, 0, 1]
    assert components(2, np.array([], dtype=int), np.array([], dtype=int)).tolist() == [0, 1]


def test_a_burst_is_shorter_where_everybody_came_within_weeks():
    assert burst_seconds(5 * 365 * 86_400) == 2 * 86_400
    assert burst_seconds(50 * 86_400) == 6 * 3_600


def test_each_pair_is_found_once_with_all_that_it_shares():
    both = {"device_id": "one", "email": "a.b@c.d"}
    pairs = found_pairs(A | both, SOON | both)

    assert isinstance(pairs, Pairs)
    assert (pairs.a.tolist(), pairs.b.tolist()) == ([0], [1])
    assert pairs.sharers.tolist() == [[2, 2, *(2 * (kind.name == "mail_domain") for kind in KINDS[2:])]]


def test_linked_accounts_whose_addresses_are_composed_alike_agree_beyond_chance():
    people = [{"user_id": f"y{number:03}", "email": f"person{'x' * (number % 7)}@example.com"} for number in range(300)]
    made, usual = (
        [
            one | {"email": f"{letter}{pieces}@mail{number}.com"}
            for number, (one, letter) in enumerate(zip(RING, "abcdef", strict=True))
        ]
        for pieces in ("9q-77", "person")
    )

    assert evidence(0, *made, *people)["same_form"] > 2
    assert evidence(0, *usual, *people)["same_form"] < 0.1


def test_accounts_that_are_nearly_linked_count_in_part():
    people = [{"user_id": f"y{number:03}", "is_phone_verified": number % 5 > 0} for number in range(300)]

    def surprise(address: str, days: int) -> float:
        crew = [
            {"user_id": f"a{number}", "created_at": str(FIRST_DAY + number * days * DAY), address: "81.2.69.160"}
            | {"is_phone_verified": False}
            for number in range(6)
        ]
        return evidence(0, *crew, *people)["unverified_phones"]

    linked, near, far = surprise("device_id", 1), surprise("ip_address", 1), surprise("ip_address", 200)
    assert linked > near > far
    assert far == 0


def test_half_of_a_large_group_that_left_its_phone_unverified_is_no_surprise():
    people = [{"user_id": f"y{number:03}", "is_phone_verified": number % 3 > 0} for number in range(300)]

    def surprise(is_verified: Callable[[int], bool]) -> float:
        visitors = [
            {"user_id": f"a{number:02}", "created_at": str(FIRST_DAY + number * 60 * DAY), "device_id": "kiosk"}
            | {"is_phone_verified": is_verified(number), "ip_address": "81.2.69.160"}
            for number in range(18)
        ]
        return evidence(1, *visitors, *people)["unverified_phones"]

    assert surprise(lambda number: number % 2 == 0) < 1.5
    assert surprise(lambda _: False) > 2


def test_a_mail_domain_counts_only_between_accounts_of_different_places():
    one, other = (row | {"email": f"{name}@bought.net"} for row, name in ((A, "ann"), (SOON, "bob")))
    here, there = {"ip_address": "81.2.69.160"}, {"ip_address": "93.5.1.2"}

    assert weight(one | here, other | there) > weight(A | here, SOON | there) + 1
    assert weight(one | here, other | here) == pytest.approx(weight(A | here, SOON | here))
    population = crowd(one, other)[1]
    assert points_by_sharers(population)[KIND_NAMES.index("mail_domain")].max() == 0


def test_the_order_in_which_pairs_are_found_changes_no_digit():
    chance = np.random.default_rng(1)
    place = {"ip_address": "81.2.69.160", "is_phone_verified": False, "is_email_verified": False}
    crew = [
        place | {"user_id": f"a{number:02}", "created_at": str(FIRST_DAY + int(chance.integers(60)) * DAY)}
        for number in range(40)
    ]
    people = [{"user_id": f"y{number:03}", "is_phone_verified": number % 5 > 0} for number in range(300)]
    everybody, population = crowd(*crew, *people)
    members, found = members_of(everybody, population), pairs_of(everybody, population)
    weights, shared_code = pair_weights(found, members, population)
    is_link = weights >= LINK_FROM
    component = components(len(members), found.a[is_link], found.b[is_link])
    assert ((weights > NEAR_FROM) & ~is_link).sum() > 50

    def columns(order: np.ndarray) -> dict[str, np.ndarray]:
        pairs = Pairs(found.a[order], found.b[order], found.sharers[order])
        return link_evidence(pairs, weights[order], shared_code[order], members, component, population)

    first = columns(np.arange(len(weights)))
    for _ in range(5):
        for name, column in columns(chance.permutation(len(weights))).items():
            np.testing.assert_array_equal(column, first[name], name)


PHONES = [{"user_id": f"w{number:03}", "user_agent": f"phone {number % 20}"} for number in range(200)]


def test_a_rare_user_agent_with_a_rare_code_is_a_weak_link_and_a_common_one_is_none():
    def both(agent: str, code: str, *others: str) -> float:
        used = [(user, code, "2023-02-01") for user in ("a", "b", *others)]
        return weight(A | {"user_agent": agent}, LATER | {"user_agent": agent}, *PHONES, usages=used)

    campaign = [one["user_id"] for one in PHONES]
    assert 0 < both("script", "X") < LINK_FROM
    assert both("phone 7", "X", *campaign[:9]) < both("script", "X")
    assert both("phone 7", "X", *campaign[:100]) == 0
    one, other = A | {"user_agent": "script"}, LATER | {"user_agent": "other"}
    assert weight(one, other, *PHONES, usages=[("a", "X", "2023-02-01"), ("b", "X", "2023-02-01")]) == 0


def test_one_device_with_a_code_is_not_counted_again_for_its_user_agent():
    rows = A | {"user_agent": "script", "device_id": "one"}, LATER | {"user_agent": "script", "device_id": "one"}
    others = A | {"device_id": "one"}, LATER | {"device_id": "one"}
    used = [(user, "X", "2023-02-01") for user in ("a", "b")]

    assert weight(*rows, *PHONES, usages=used) == weight(*others, *PHONES, usages=used)


def test_numbers_of_one_range_are_a_weaker_link_than_those_of_one_block():
    def numbers(one: str, other: str) -> float:
        return weight(A | {"phone": one}, LATER | {"phone": other})

    of_block, of_range = numbers("+15051234567", "+15051234589"), numbers("+15051234567", "+15051234989")
    assert 0 < of_range < of_block
    assert numbers("+15051234567", "+15051239989") == 0


@pytest.mark.parametrize(
    ("count", "agent", "counts"), [(2, "script", False), (5, "script", True), (5, "phone 7", False)]
)
def test_what_more_than_two_share_of_a_code_and_a_rare_user_agent_is_evidence(count: int, agent: str, counts: bool):
    crew = [
        {"user_id": f"a{number}", "created_at": str(FIRST_DAY + number * 90 * DAY), "user_agent": agent}
        for number in range(count)
    ]
    campaign = [one["user_id"] for one in PHONES] if agent != "script" else []
    used = [(user, "X", "2024-01-02") for user in [one["user_id"] for one in crew] + campaign]

    assert (evidence(0, *crew, *PHONES, usages=used)["code_agent_shared"] > 0.5) == counts
