"""Wrong keys are counted by address; whoever exceeds the limit waits for a turn, and others do not."""

from __future__ import annotations

import asyncio

import pytest

from quintet.state.faults import StateUnavailableError
from quintet.web.guesses import MOST_WAITING, WRONG_KEYS, Guesses, network_of


def _with_many_wrong_keys(host: str, slept: list[float]) -> Guesses:
    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)

    guesses = Guesses(sleep)
    for _ in range(WRONG_KEYS):
        assert not asyncio.run(guesses.count(host))
    assert guesses.are_many(host)
    assert asyncio.run(guesses.count(host))
    return guesses


def test_what_other_services_have_counted_counts_here() -> None:
    there: list[str] = []

    def shared(network: str) -> int:
        there.append(network)
        return len(there) - 1

    guesses = Guesses(shared=shared)
    there += ["10.0.0.1"] * (WRONG_KEYS - 1)
    assert not asyncio.run(guesses.count("10.0.0.1")), "the last one that is allowed"
    assert asyncio.run(guesses.count("10.0.0.1"))
    assert guesses.are_many("10.0.0.1")
    assert not guesses.are_many("10.0.0.2")


def test_a_service_counts_alone_while_the_state_store_is_away() -> None:
    def shared(_: str) -> int:
        raise StateUnavailableError("away")

    guesses = Guesses(shared=shared)
    counted = [asyncio.run(guesses.count("10.0.0.1")) for _ in range(WRONG_KEYS + 1)]
    assert counted == [False] * WRONG_KEYS + [True]


def test_a_guesser_waits_in_turn_and_others_do_not() -> None:
    slept: list[float] = []
    guesses = _with_many_wrong_keys("10.0.0.1", slept)

    async def compare() -> list[bool]:
        return await asyncio.gather(*(guesses.may_compare("10.0.0.1") for _ in range(MOST_WAITING + 3)))

    assert sorted(asyncio.run(compare())) == [False] * 3 + [True] * MOST_WAITING
    assert len(slept) == MOST_WAITING
    assert asyncio.run(guesses.may_compare("10.0.0.2"))
    assert len(slept) == MOST_WAITING


def test_a_place_is_free_again_after_a_cancelled_request() -> None:
    slept: list[float] = []
    guesses = _with_many_wrong_keys("10.0.0.1", slept)

    async def cancel_all() -> None:
        tasks = [asyncio.create_task(guesses.may_compare("10.0.0.1")) for _ in range(MOST_WAITING)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert await guesses.may_compare("10.0.0.1")

    asyncio.run(cancel_all())


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_an_ipv6_guesser_cannot_vary_the_address(host: str, network: str) -> None:
    assert network_of(host) == network
