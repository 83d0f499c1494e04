"""The training set has the features known at each application, and nothing from later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from quintet.change_log.change import Change
from quintet.lending.feature_registry import features
from quintet.lending.training import settle, training_set
from quintet.state.features import FeatureStore
from tests.unit.lending.events import change


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeatureStore]:
    store = FeatureStore(tmp_path)
    yield store
    store.close()


def _loan(created_on: str, status: str = "application", updated_on: str | None = None) -> dict[str, Any]:
    return {
        "client_id": 1, "amount": 100.0, "created_on": created_on, "status": status,
        "updated_on": updated_on or created_on,
    }  # fmt: skip


def _late(loan_id: int, created_on: str) -> dict[str, Any]:
    return {"loan_id": loan_id, "principle": 1.0, "interest": 1.0, "status": "late", "created_on": created_on}


def _changes(operation: str, *parts: tuple[str, int, dict[str, Any]]) -> list[Change]:
    lsn = 0 if operation == "snapshot" else 100
    return [
        change(lsn + number, table, key, row)._replace(operation=operation)
        for number, (table, key, row) in enumerate(parts)
    ]


def _set(store: FeatureStore, *history: list[Change]) -> pd.DataFrame:
    for changes in history:
        with store.change() as draft:
            settle(draft, features(), changes, snapshot_ends=changes is history[-1])
    return training_set(store, features()).set_index("application_id")


def test_an_application_of_the_stream_has_the_earlier_facts_of_its_own_day(store: FeatureStore) -> None:
    found = _set(
        store,
        _changes("snapshot", ("loan", 1, _loan("2020-06-01", "active"))),
        _changes("insert", ("payment", 1, _late(1, "2020-08-23")), ("loan", 2, _loan("2020-08-23"))),
    )
    assert found.loc[2, "days_since_last_late_payment"] == 0
    assert found.loc[2, "as_of"] == "2020-08-23"


def test_facts_after_an_application_of_the_stream_do_not_count_even_if_dated_before(
    store: FeatureStore,
) -> None:
    found = _set(
        store,
        _changes("snapshot", ("loan", 1, _loan("2020-06-01", "active"))),
        _changes("insert", ("loan", 2, _loan("2020-08-23")), ("payment", 1, _late(1, "2020-08-01"))),
    )
    assert pd.isna(found.loc[2, "days_since_last_late_payment"])


def test_an_application_of_the_snapshot_has_no_facts_of_its_own_day_or_later(store: FeatureStore) -> None:
    parts = (
        ("loan", 1, _loan("2020-06-01", "paid", "2020-07-01")),
        ("loan", 2, _loan("2020-07-01", "paid", "2020-08-01")),
        ("loan", 3, _loan("2020-07-02", "overdue", "2020-08-15")),
        ("payment", 1, _late(1, "2020-07-01")),
    )
    found = _set(store, _changes("snapshot", *parts))
    assert found["paid_loans_count"].to_dict() == {1: 0, 2: 0, 3: 1}
    assert found["days_since_last_late_payment"].isna().to_dict() == {1: True, 2: True, 3: False}
    assert found["open_loans_count"].to_dict() == {1: 0, 2: 1, 3: 1}


def test_a_loan_never_counts_for_its_own_application(store: FeatureStore) -> None:
    found = _set(store, _changes("snapshot", ("loan", 1, _loan("2020-06-01", "paid", "2020-06-01"))))
    assert found.loc[1, "paid_loans_count"] == 0
    assert pd.isna(found.loc[1, "profit_in_last_90_days_rate"])


def test_features_without_dates_are_null_for_the_snapshot_alone(store: FeatureStore) -> None:
    found = _set(
        store,
        _changes("snapshot", ("loan", 1, _loan("2020-06-01", "overdue"))),
        _changes("insert", ("loan", 2, _loan("2020-08-23"))),
    )
    assert pd.isna(found.loc[1, "overdue_loans_count"])
    assert found.loc[2, "overdue_loans_count"] == 1


def test_the_outcome_is_the_later_status_and_null_while_it_is_open(store: FeatureStore) -> None:
    found = _set(
        store,
        _changes("snapshot", ("loan", 1, _loan("2020-06-01")), ("loan", 2, _loan("2020-06-01"))),
        _changes("update", ("loan", 1, _loan("2020-06-01", "paid")), ("loan", 2, _loan("2020-06-01", "overdue"))),
        [one._replace(commit_lsn=200) for one in _changes("insert", ("loan", 3, _loan("2020-08-01")))],
    )
    assert found.loc[1, "outcome"] == "repaid"
    assert found.loc[2, "outcome"] == "overdue"
    assert pd.isna(found.loc[3, "outcome"])


def test_an_empty_log_gives_an_empty_set_with_its_columns(store: FeatureStore) -> None:
    found = training_set(store, features())
    assert len(found) == 0
    assert {"application_id", "paid_loans_count", "outcome"} <= set(found.columns)
