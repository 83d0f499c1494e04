"""A feature that uses facts from after an application is refused before the training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from quintet.change_log.change import Change
from quintet.lending.contract import LOAN, PAYMENT
from quintet.lending.feature import Event, Feature, State, Value, with_fact
from quintet.lending.feature_registry import features
from quintet.lending.leaks import LeakError
from quintet.lending.training import settle, training_set
from quintet.samples.lending import LendingWorld, make_book
from quintet.state.features import FeatureStore
from tests.unit.lending.book import snapshot_of
from tests.unit.lending.events import change

BOOK = snapshot_of(make_book(LendingWorld(clients=1_000), 5), clients=250)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeatureStore]:
    kept = FeatureStore(tmp_path)
    yield kept
    kept.close()


def _set(store: FeatureStore, known: Sequence[Feature], *history: Sequence[Change]) -> pd.DataFrame:
    for changes in history:
        with store.change() as draft:
            settle(draft, known, changes, snapshot_ends=changes is history[-1])
    return training_set(store, known)


def _keeps_payments(state: State, event: Event) -> State:
    return (
        with_fact(state, event.key, event.row["created_on"] if event.row else None) if event.table == PAYMENT else state
    )


def _counts_all(state: State, as_of: date) -> Value:  # noqa: ARG001  # that is the fault
    return len(state)


def _counts_until(state: State, as_of: date) -> Value:
    return sum(paid_on <= as_of.isoformat() for paid_on in state.values())


def _keeps_outcomes(state: State, event: Event) -> State:
    if event.table != LOAN:
        return state
    return with_fact(state, event.key, event.row["status"] if event.row else None)


def _has_defaulted(state: State, as_of: date) -> Value:  # noqa: ARG001  # that is the fault
    return list(state.values()).count("overdue")


def _planted(name: str, apply: object, value: object) -> Feature:
    return replace(features()[0], name=name, apply=apply, value=value)  # type: ignore[arg-type]


def test_the_features_use_no_later_facts(store: FeatureStore) -> None:
    assert len(_set(store, features(), BOOK)) > 300


def test_a_feature_of_payments_after_the_application_is_caught(store: FeatureStore) -> None:
    leak = _planted("payments_count", _keeps_payments, _counts_all)
    with pytest.raises(LeakError, match=r"payments_count is .* it uses later facts"):
        _set(store, [*features(), leak], BOOK)


def test_the_same_feature_limited_to_the_day_passes(store: FeatureStore) -> None:
    honest = _planted("payments_count", _keeps_payments, _counts_until)
    _set(store, [*features(), honest], BOOK)


def test_a_feature_of_the_outcome_is_caught_unless_it_says_that_it_has_no_dates(store: FeatureStore) -> None:
    leak = _planted("defaults_count", _keeps_outcomes, _has_defaulted)
    with pytest.raises(LeakError, match="defaults_count"):
        _set(store, [leak], BOOK)


def test_without_dates_it_is_null_and_so_cannot_leak(store: FeatureStore) -> None:
    undated = replace(_planted("defaults_count", _keeps_outcomes, _has_defaulted), is_dated=False)
    assert _set(store, [undated], BOOK)["defaults_count"].isna().all()


def test_a_leak_is_caught_also_when_the_stream_follows_the_snapshot(store: FeatureStore) -> None:
    leak = _planted("payments_count", _keeps_payments, _counts_all)
    later = change(10**6, "payment", 10**6, {"loan_id": 1, "principle": 1.0, "interest": 1.0, "status": "on_time",
                   "created_on": "2020-08-24"})  # fmt: skip
    with pytest.raises(LeakError, match="payments_count"):
        _set(store, [leak], BOOK, [later])


def test_dates_that_contradict_each_other_raise_no_false_alarm(store: FeatureStore) -> None:
    def loan(key: int, created_on: str | None, status: str, updated_on: str | None) -> Change:
        row = {"client_id": 1, "amount": 10.0, "created_on": created_on, "status": status, "updated_on": updated_on}
        return change(key, "loan", key, row)._replace(operation="snapshot")

    odd = [
        loan(1, "2020-06-01", "paid", "2020-05-01"),
        loan(2, "2020-07-01", "paid", None),
        loan(3, None, "paid", "2020-07-15"),
        loan(4, "2020-08-01", "active", None),
    ]
    assert len(_set(store, features(), odd)) == 3
