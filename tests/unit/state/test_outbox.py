"""The outbox: one message per key, the oldest first, retries with growing pauses, and one claim at a time."""

from __future__ import annotations

import datetime as dt

import pytest

from quintet.state.outbox import (
    GIVEN_UP,
    KEPT,
    LEASE,
    SENT,
    WAITING,
    claim,
    enqueue,
    last_messages,
    mark_failed,
    mark_sent,
    oldest_waiting,
)
from quintet.state.store import StateStore

NOW = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


def put(store: StateStore, *keys: str, channel: str = "teams", at: dt.datetime = NOW) -> None:
    with store.write() as connection:
        for key in keys:
            enqueue(connection, key, [channel], {"key": key}, at)


def test_a_key_is_written_once_for_each_channel(store: StateStore) -> None:
    put(store, "a", "a")
    put(store, "a", channel="email")

    assert [(one.key, one.channel) for one in last_messages(store, 9)] == [("a", "email"), ("a", "teams")]


def test_a_rolled_back_message_is_not_sent(store: StateStore) -> None:
    def write_and_fail() -> None:
        with store.write() as connection:
            enqueue(connection, "a", ["teams"], {}, NOW)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert claim(store, "teams", NOW) is None


def test_the_oldest_message_is_claimed_first_and_alone(store: StateStore) -> None:
    put(store, "a", "b")
    first = claim(store, "teams", NOW)

    assert first is not None
    assert first.key == "a"
    assert claim(store, "teams", NOW) is None
    mark_sent(store, first, NOW)
    second = claim(store, "teams", NOW)
    assert second is not None
    assert (second.key, last_messages(store, 9)[1].state) == ("b", SENT)


def test_an_expired_claim_can_be_claimed_again(store: StateStore) -> None:
    put(store, "a")
    claim(store, "teams", NOW)

    assert claim(store, "teams", NOW + LEASE - SECOND) is None
    assert claim(store, "teams", NOW + LEASE) is not None


def test_the_pause_between_attempts_doubles_up_to_a_minute(store: StateStore) -> None:
    put(store, "a")
    now, waits = NOW, []
    for _ in range(9):
        message = claim(store, "teams", now)
        assert message is not None
        mark_failed(store, message, now, "answered 503")
        following = last_messages(store, 1)[0].next_attempt_at
        waits.append((following - now).total_seconds())
        now = following

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_requested_wait_delays_the_next_attempt(store: StateStore) -> None:
    put(store, "a")
    message = claim(store, "teams", NOW)
    assert message is not None
    mark_failed(store, message, NOW, "answered 429", wait=dt.timedelta(seconds=90))

    assert claim(store, "teams", NOW + 89 * SECOND) is None
    assert claim(store, "teams", NOW + 90 * SECOND) is not None


def test_a_message_is_given_up_after_a_day_or_five_refusals(store: StateStore) -> None:
    put(store, "old", "refused", "fresh")
    now = NOW + KEPT + SECOND
    for _ in range(20):
        assert last_messages(store, 9)[-1].state == WAITING  # however old: a clock may have been set forward
        message = claim(store, "teams", now)
        assert message is not None
        mark_failed(store, message, now, "answered 503")
        now += 60 * SECOND
    for _ in range(5):
        message = claim(store, "teams", now)
        assert message is not None
        mark_failed(store, message, now, "answered 400", is_refused=True)
        now += 60 * SECOND

    states = {one.key: one.state for one in last_messages(store, 9)}
    assert states == {"old": GIVEN_UP, "refused": GIVEN_UP, "fresh": WAITING}
    assert oldest_waiting(store) == NOW


def test_an_empty_outbox_has_no_message_to_claim(store: StateStore) -> None:
    assert claim(store, "teams", NOW) is None
    assert oldest_waiting(store) is None
