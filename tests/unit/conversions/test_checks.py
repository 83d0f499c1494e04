"""Checks of conversions pass on good figures and fail on bad ones."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from quintet.conversions.checks import model_drift, placebo_rate


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(
            "create schema ml; create table ml.matching_placebo "
            "(hours integer, broker_rows bigint, matched bigint, false_match_rate double);"
            "create table ml.matching_summary (figure varchar, value double)"
        )
        yield connection


@pytest.mark.parametrize(("rate", "passed"), [(0.001, True), (0.005, True), (0.02, False)])
def test_the_worst_placebo_decides(connection: duckdb.DuckDBPyConnection, rate: float, passed: bool) -> None:
    connection.execute("insert into ml.matching_placebo values (5, 1000, 0, 0.0), (9, 1000, 1, ?)", [rate])
    outcome = placebo_rate(connection)
    assert outcome.passed is passed
    assert outcome.figures["hours"] == 9
    assert ("--train conversions" in outcome.description) is not passed


def test_without_broker_rows_there_is_no_false_match(connection: duckdb.DuckDBPyConnection) -> None:
    assert placebo_rate(connection).passed
    connection.execute("insert into ml.matching_placebo values (5, 0, 0, null)")
    assert placebo_rate(connection).passed


@pytest.mark.parametrize(("matched", "passed"), [(950, True), (700, False)])
def test_fewer_matches_than_the_model_expects_are_drift(
    connection: duckdb.DuckDBPyConnection, matched: int, passed: bool
) -> None:
    connection.execute("insert into ml.matching_summary values ('matched', ?), ('expected_links', 1000)", [matched])
    assert model_drift(connection).passed is passed


def test_without_a_model_there_is_no_drift(connection: duckdb.DuckDBPyConnection) -> None:
    assert model_drift(connection).passed
