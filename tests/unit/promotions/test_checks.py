"""A refused model and shifted scores fail their checks."""

from __future__ import annotations

import duckdb
import pytest

from quintet.promotions.checks import promotion_gate, rings_caught, score_drift


def trainings(rows: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(
        "create schema ml; create table ml.abuse_trainings "
        "(trained_at timestamp, model_version varchar, is_promoted boolean, why varchar, score_psi double)"
    )
    if rows:
        connection.execute(f"insert into ml.abuse_trainings values {rows}")
    return connection


@pytest.mark.parametrize("passed", [True, False])
def test_the_last_training_decides_about_the_gate(passed: bool) -> None:
    rows = f"('2024-01-02', 'b', {passed}, 'because', null), ('2024-01-01', 'a', {not passed}, 'before', null)"
    with trainings(rows) as connection:
        outcome = promotion_gate(connection)
    assert outcome.passed is passed
    assert "because" in outcome.description


@pytest.mark.parametrize(("psi", "passed"), [(0.05, True), (0.24, True), (0.4, False)])
def test_shifted_scores_are_drift(psi: float, passed: bool) -> None:
    with trainings(f"('2024-01-02', 'b', true, '', {psi}), ('2024-01-01', 'a', true, '', 9.0)") as connection:
        assert score_drift(connection).passed is passed


@pytest.mark.parametrize(("flagged", "passed"), [(0.95, True), (0.89, True), (0.4, False)])
def test_an_active_model_that_lets_rings_pass_is_found(flagged: float, passed: bool) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"""
            create schema ml;
            create table ml.abuse_model_rings as
            select * replace (flagged::double as flagged) from (values
                ('active', 'size', 'small', 0.6), ('scorecard', 'size', 'small', 0.6),
                ('active', 'size', 'large', {flagged}), ('scorecard', 'size', 'large', 0.9)
            ) as known (scores_of, grouped_by, rings, flagged)
        """)
        assert rings_caught(connection).passed is passed


def test_before_the_first_training_both_pass() -> None:
    with trainings("") as connection:
        assert promotion_gate(connection).passed
        assert score_drift(connection).passed
