"""How a population shares keys: values of unrelated people, shares by number of sharers, and places of rings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from quintet.promotions.identity import KIND_NAMES, KeyRules, identity_keys, place_number
from quintet.promotions.sharing import common_keys, ring_places, sharing_shares, stranger_share
from tests.unit.promotions.worlds import accounts

HOME = "81.2.3.4"


def sharers_of_a_device(
    count: int, usages: list[tuple[str, str, str]] | None = None, **changes: list[str]
) -> tuple[str, ...]:
    """Return the common keys among a thousand people of whom the first `count` report one device."""
    days = pd.date_range("2021-01-01", periods=1_000, freq="D").astype(str)
    turn = np.random.default_rng(1).permutation(1_000)
    rows = [
        {
            "user_id": f"u{number:04}",
            "created_at": days[turn[number]],
            "device_id": "web" if number < count else f"d{number}",
            "email": f"person{number}@example.com",
            "ip_address": f"8.{number // 250}.{number % 250}.7",
            "is_phone_verified": number % 3 > 0,
        }
        | {name: values[number] for name, values in changes.items() if number < count}
        for number in range(1_000)
    ]
    usual = [(f"u{number:04}", f"code{number % 50}", "2024-01-01") for number in range(1_000)]
    everybody = accounts(*rows, usages=usages or usual)
    return common_keys(identity_keys(everybody, KeyRules()), everybody, 1_000 * 86_400.0)


def test_a_value_that_unrelated_people_report_is_no_key():
    assert sharers_of_a_device(200) == ("device web",)


def test_a_device_of_people_who_share_more_is_a_key():
    assert sharers_of_a_device(200, phone=[f"+1 505 123 4{number % 20:03}" for number in range(200)]) == ()
    assert sharers_of_a_device(200, created_at=["2021-06-01"] * 200) == ()
    assert sharers_of_a_device(200, is_phone_verified=[False] * 200) == ()
    assert sharers_of_a_device(9) == ()


def test_a_device_in_one_place_that_unrelated_people_use_is_no_key():
    assert sharers_of_a_device(15, ip_address=["9.9.9.9"] * 15) == ("device web",)


def test_a_few_friends_do_not_make_a_ring_of_the_people_who_share_a_device():
    assert codes_on_a_device(friends=4) == ("device web",)
    assert codes_on_a_device(friends=12) == ()


def codes_on_a_device(friends: int) -> tuple[str, ...]:
    """Return the common keys where 30 people share a device, and so many of them one rare code."""
    rare = [(f"u{number:04}", "rare", "2024-01-01") for number in range(friends)]
    others = [(f"u{number:04}", f"code{number % 50}", "2024-01-01") for number in range(friends, 1_000)]
    return sharers_of_a_device(30, usages=rare + others)


def families(kin: int, strangers: int) -> float:
    """Return the share of strangers where pairs with one family name, and with two, share a device."""
    rows = [
        {
            "user_id": f"u{pair:03}{side}",
            "device_id": f"d{pair}",
            "first_name": "Ana",
            "last_name": f"Name{chr(65 + pair % 26)}" if pair < kin else ("Smith", "Okafor")[side],
        }
        for pair in range(kin + strangers)
        for side in range(2)
    ]
    everybody = accounts(*rows, *({"user_id": f"z{number}", "device_id": "office"} for number in range(5)))
    return stranger_share(identity_keys(everybody, KeyRules()), everybody)


def test_few_pairs_of_a_device_are_strangers_where_families_share_it():
    assert families(kin=80, strangers=0) == pytest.approx(0.2)  # 80 of 80 and the 20 of which nothing is known
    assert families(kin=0, strangers=80) == 1
    assert families(kin=0, strangers=0) == 1


def places(count: int, device: Callable[[int], str], address: Callable[[int], str]) -> tuple[str, ...]:
    """Return the ring places of this many accounts."""
    rows = [{"user_id": f"u{n:02}", "device_id": device(n), "ip_address": address(n)} for n in range(count)]
    return ring_places(identity_keys(accounts(*rows), KeyRules()))


def test_the_address_of_a_ring_is_found_though_some_of_it_changed_device_or_address():
    found = places(12, lambda n: "d" if n < 8 else f"d{n}", lambda n: HOME if n >= 4 else f"8.8.{n}.1")

    assert place_number(HOME) in found


@pytest.mark.parametrize(
    ("count", "device", "address"),
    [
        (30, lambda _: "d", lambda _: HOME),
        (30, lambda n: "d" if n < 25 else f"d{n}", lambda _: HOME),
        (6, lambda n: "d" if n < 4 else f"d{n}", lambda n: HOME if n else "8.8.8.1"),
        (40, lambda n: "d" if n < 8 else f"d{n}", lambda n: HOME if n >= 3 else f"8.8.{n}.1"),
        (90, lambda n: "d" if n < 60 else f"d{n}", lambda n: HOME if n >= 10 else f"8.8.{n}.1"),
    ],
    ids=["a café's device", "a café with guests", "a family", "an office", "a carrier"],
)
def test_a_place_of_honest_people_is_no_ring_place(
    count: int, device: Callable[[int], str], address: Callable[[int], str]
):
    assert places(count, device, address) == ()


def test_a_key_of_more_accounts_is_never_more_common():
    rows = [{"user_id": f"u{n:02}", "device_id": f"d{n // 2}" if n < 20 else "shared"} for n in range(30)]
    shares = sharing_shares(identity_keys(accounts(*rows), KeyRules()), 30)

    assert shares["device"][2] == pytest.approx(20 / 30 + 10 / 30 * 4 / 10)
    assert (np.diff(shares["device"]) <= 0).all()
    assert shares.keys() == set(KIND_NAMES)
