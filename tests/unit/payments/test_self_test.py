"""Monitoring counts as healthy only while a test item goes the whole way and what arrives is accepted."""

from __future__ import annotations

import datetime as dt
import sqlite3

import pytest

from quintet.payments.self_test import CHANNEL, FRESH_SECONDS, REFUSED_SECONDS, SelfTest
from quintet.state.outbox import last_messages, oldest_waiting
from quintet.state.store import StateStore

NOW = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)


class _Seconds:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_passed_test_is_evidence_for_a_while_and_leaves_one_message(store: StateStore) -> None:
    seconds = _Seconds()
    test = SelfTest(seconds)
    assert not test.is_passed
    for number in range(3):
        test.run(store, NOW + dt.timedelta(seconds=number))
        assert test.is_passed
    seconds.now += FRESH_SECONDS
    assert not test.is_passed
    assert [(one.channel, one.state) for one in last_messages(store, 9)] == [(CHANNEL, "sent")]
    assert last_messages(store, 9, left_out=CHANNEL) == []
    assert oldest_waiting(store) is None


def test_a_store_that_cannot_be_written_fails_it(file_store: StateStore) -> None:
    store = file_store
    test = SelfTest(_Seconds())
    store.read().execute("pragma query_only = on")
    with pytest.raises(sqlite3.OperationalError):
        test.run(store, NOW)
    assert not test.is_passed


def test_a_clock_that_goes_back_does_not_fail_it(store: StateStore) -> None:
    test = SelfTest(_Seconds())
    for back in range(3):
        test.run(store, NOW - dt.timedelta(days=back))
    assert test.is_passed


def test_while_everything_that_arrives_is_refused_it_is_not_passed(store: StateStore) -> None:
    seconds = _Seconds()
    test = SelfTest(seconds)
    seen = []
    for _ in range(10):
        test.run(store, NOW)
        test.note(False)
        seen.append(test.is_passed)
        seconds.now += REFUSED_SECONDS / 5
    assert seen == [True] * 6 + [False] * 4
    test.note(True)
    assert test.is_passed


def test_a_late_batch_that_is_refused_once_is_no_fault(store: StateStore) -> None:
    seconds = _Seconds()
    test = SelfTest(seconds)
    test.note(False)
    seconds.now += REFUSED_SECONDS * 2
    test.run(store, NOW)
    assert test.is_passed
