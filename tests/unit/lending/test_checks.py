"""A missing model and a shifted input fail their checks."""

from __future__ import annotations

import duckdb
import pytest

from quintet.lending.checks import input_drift, model_performance, promotion_gate
from quintet.lending.performance import PERFORMANCE_COLUMNS


def results(sql: str = "") -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(
        "create schema ml; create table ml.lending_model_training (model_version varchar, why varchar);"
        "create table ml.lending_training_set (is_open boolean);"
        f"create table ml.lending_model_stability (input varchar, psi double);"
        f"create table ml.lending_model_performance ({', '.join(map(' '.join, PERFORMANCE_COLUMNS.items()))}); {sql}"
    )
    return connection


@pytest.mark.parametrize(
    ("version", "ended", "passed"), [("'scorecard-1'", 100, True), ("null", 0, True), ("null", 100, False)]
)
def test_where_loans_have_ended_a_model_is_active(version: str, ended: int, passed: bool) -> None:
    with results(
        f"insert into ml.lending_model_training values ({version}, 'because');"
        f"insert into ml.lending_training_set select false from range({ended}); "
        "insert into ml.lending_training_set values (true)"
    ) as connection:
        outcome = promotion_gate(connection)
    assert outcome.passed is passed
    assert "because" in outcome.description


@pytest.mark.parametrize(("psi", "passed"), [("0.2", True), ("0.3", False), ("null", True)])
def test_a_shifted_input_is_drift(psi: str, passed: bool) -> None:
    with results(f"insert into ml.lending_model_stability values ('amount', {psi}), ('other', 0.01)") as connection:
        outcome = input_drift(connection)
    assert outcome.passed is passed
    assert ("amount" in outcome.description) is not passed


@pytest.mark.parametrize(("alarm", "passed"), [("null", True), ("'estimate'", False), ("'realised'", False)])
def test_a_month_with_an_alarm_fails_and_is_named(alarm: str, passed: bool) -> None:
    row = f"('2024-09-01', 'auc', 500, 500, 0.65, 0.02, 0.8, 0.65, 0.6, {alarm})"
    with results(f"insert into ml.lending_model_performance values {row}") as connection:
        outcome = model_performance(connection)
    assert outcome.passed is passed
    assert ("AUC of 2024-09" in outcome.description) is not passed


def test_before_the_first_training_all_pass() -> None:
    with results() as connection:
        assert promotion_gate(connection).passed
        assert input_drift(connection).passed
        assert model_performance(connection).passed
