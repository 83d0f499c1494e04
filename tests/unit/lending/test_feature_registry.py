"""The feature registry finds every file, checks it, and each feature has a test."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from quintet.lending import feature_registry as registry
from quintet.lending.feature import Event
from quintet.lending.feature_registry import FeatureError, features, fold, tables_behind, values, version_of
from tests.unit.lending.events import AS_OF, loan, payment


def test_every_file_is_found_including_the_features_of_the_brief(project: Path) -> None:
    files = {path.stem for path in (project / "quintet" / "lending" / "features").glob("[a-z]*.py")}
    assert {feature.name for feature in features()} == files
    assert {"paid_loans_count", "days_since_last_late_payment", "profit_in_last_90_days_rate"} < files


def test_every_feature_has_its_test(project: Path) -> None:
    tests = {path.stem for path in (project / "tests" / "unit" / "lending" / "features").glob("test_*.py")}
    assert {f"test_{feature.name}" for feature in features()} <= tests


def test_a_file_without_a_feature_or_with_another_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = registry.importlib.import_module("quintet.lending.features.open_loans_count")
    for wrong, message in ((None, "has no FEATURE"), (replace(module.FEATURE, name="other"), "has the feature other")):
        monkeypatch.setattr(module, "FEATURE", wrong)
        features.cache_clear()
        with pytest.raises(FeatureError, match=message):
            features()
        monkeypatch.undo()
    features.cache_clear()


def test_states_survive_as_json_and_a_fold_never_changes_its_argument() -> None:
    states: dict = {}
    for event in (
        loan(1, "active", "2020-08-01"),
        payment(1, 1, "2020-08-02", status="late"),
        loan(1, "paid", "2020-08-01"),
    ):
        before = json.dumps(states)
        after = fold(features(), states, event)
        assert json.dumps(states) == before
        states = json.loads(json.dumps(after))
        assert states == after
    assert values(features(), states, AS_OF)["paid_loans_count"] == 1


def test_repeating_an_event_changes_nothing() -> None:
    event = payment(1, 1, "2020-08-02", status="late")
    once = fold(features(), {}, event)
    assert fold(features(), once, event) == once


def test_another_version_of_a_feature_is_another_version_of_the_states() -> None:
    first, *others = features()
    assert version_of(features()) != version_of([replace(first, version=first.version + 1), *others])
    assert version_of(features()) == version_of(features()[::-1])
    assert version_of(features()) != version_of(others)


def test_every_feature_declares_the_tables_that_it_reads() -> None:
    rows = {
        "user": {"created_on": "2020-01-01", "birth_date": "1980-01-01"},
        "loan": {"client_id": 1, "amount": 9.0, "created_on": "2020-02-01", "status": "S", "updated_on": "2020-03-01"},
        "payment": {"loan_id": 1, "principle": 9.0, "interest": 1.0, "status": "S", "created_on": "2020-03-01"},
    }
    statuses = {"user": [""], "loan": ["paid", "overdue"], "payment": ["late", "on_time"]}
    for feature in features():
        read = {
            table
            for table, row in rows.items()
            for status in statuses[table]
            if feature.apply({}, Event(table, "1", {"id": 1, **row, "status": status})) != {}
        }
        by_sql = set(re.findall(r"(?:from|join) (user|loan|payment)\b", feature.sql))
        assert feature.tables == by_sql
        assert read <= feature.tables


def test_the_tables_behind_figures_are_those_of_their_features() -> None:
    assert tables_behind(features(), {"paid_loans_count", "amount"}) == {"loan"}
    assert tables_behind(features(), {"late_payments_share"}) == {"loan", "payment"}
    assert tables_behind(features(), {"amount"}) == set()
    assert tables_behind(features(), None) == {"loan", "payment"}
