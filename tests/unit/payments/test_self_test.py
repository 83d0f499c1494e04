"""A test item goes the whole way, and requests that are all refused are noticed."""

from __future__ import annotations

import datetime as dt
import sqlite3

import pytest

from quintet.payments.self_test import ARRIVES_SECONDS, CHANNEL, SelfTest
from quintet.state.outbox import last_messages, oldest_waiting
from quintet.state.store import StateStore

NOW = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)


class _Seconds:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_it_goes_the_whole_way_and_leaves_one_message(store: StateStore) -> None:
    test = SelfTest(_Seconds())
    for number in range(3):
        test.run(store, NOW + dt.timedelta(seconds=number))
    assert [(one.channel, one.state) for one in last_messages(store, 9)] == [(CHANNEL, "sent")]
    assert last_messages(store, 9, left_out=CHANNEL) == []
    assert oldest_waiting(store) is None


def test_a_store_that_cannot_be_written_fails_it(file_store: StateStore) -> None:
    store = file_store
    store.read().execute("pragma query_only = on")
    with pytest.raises(sqlite3.OperationalError):
        SelfTest(_Seconds()).run(store, NOW)


def test_a_clock_that_goes_back_does_not_fail_it(store: StateStore) -> None:
    test = SelfTest(_Seconds())
    for back in range(3):
        test.run(store, NOW - dt.timedelta(days=back))


def _feed(test: SelfTest, seconds: _Seconds, every: float, is_accepted: bool, until: float) -> list[float]:
    """Note a request every some seconds; return the times at which everything was refused."""
    found = []
    while seconds.now < until:
        test.note(is_accepted)
        seconds.now += every
        if test.all_is_refused:
            found.append(seconds.now)
    return found


@pytest.mark.parametrize(("every", "found_within"), [(0.005, 2.1), (10.0, 20.0), (60.0, 120.0)])
def test_a_feed_that_is_refused_is_found_as_soon_as_it_usually_comes(every: float, found_within: float) -> None:
    seconds = _Seconds()
    test = SelfTest(seconds)
    assert _feed(test, seconds, every, True, until=10 * every) == []
    wrong_since = seconds.now
    found = _feed(test, seconds, every, False, until=wrong_since + 300)
    assert found[0] - wrong_since <= found_within
    test.note(True)
    assert not test.all_is_refused


def test_the_time_in_which_all_was_refused_is_not_taken_for_usual() -> None:
    seconds = _Seconds()
    test = SelfTest(seconds)
    _feed(test, seconds, 0.1, True, until=10)
    for begin in (10, 30):
        found = _feed(test, seconds, 0.1, False, until=begin + 18)
        assert found[0] - begin <= 2.3
        _feed(test, seconds, 0.1, True, until=begin + 20)


def test_a_late_batch_that_is_refused_beside_a_feed_is_no_fault() -> None:
    seconds = _Seconds()
    test = SelfTest(seconds)
    _feed(test, seconds, 60.0, True, until=600)
    test.note(False)
    seconds.now += 25
    assert not test.all_is_refused
    test.note(True)
    seconds.now += 3_600
    assert not test.all_is_refused


def test_a_client_whose_requests_are_refused_does_not_stop_another() -> None:
    seconds = _Seconds()
    test = SelfTest(seconds)
    _feed(test, seconds, 60.0, True, until=600)
    for _ in range(10):
        test.note(True)
        assert _feed(test, seconds, 1.0, False, until=seconds.now + 60) == []


def test_after_refused_requests_stop_they_say_nothing() -> None:
    seconds = _Seconds()
    test = SelfTest(seconds)
    assert _feed(test, seconds, 1.0, False, until=30)
    seconds.now += ARRIVES_SECONDS
    assert not test.all_is_refused
