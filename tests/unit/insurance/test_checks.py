"""The coverage of the forecast's bands passes within chance and fails beyond it."""

from __future__ import annotations

import duckdb
import pytest

from quintet.insurance.checks import forecast_coverage


def coverage(rows: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(
        "create schema ml; create table ml.premium_forecast_scores "
        "(model varchar, year integer, is_chosen boolean, n bigint, coverage80 double, coverage95 double); "
        "create table ml.premium_forecast_backtest "
        "(model varchar, prod_line varchar, actual double, lo80 double, hi80 double, lo95 double, hi95 double)"
    )
    if rows:
        connection.execute(f"insert into ml.premium_forecast_scores values {rows}")
    return connection


@pytest.mark.parametrize(
    ("n", "of80", "of95", "passed"),
    [(195, 0.80, 0.94, True), (10, 0.6, 0.9, True), (1000, 0.60, 0.95, False), (1000, 0.8, 0.80, False)],
)
def test_bands_hold_what_they_promise(n: int, of80: float, of95: float, passed: bool) -> None:
    with coverage(
        f"('naive', null, true, {n}, {of80}, {of95}), ('naive', 2014, true, {n}, 0.1, 0.1), "
        f"('worse', null, false, {n}, 0.1, 0.1)"
    ) as connection:
        outcome = forecast_coverage(connection)
    assert outcome.passed is passed
    assert outcome.figures["model"] == "naive"


def test_a_band_that_holds_too_much_is_as_wrong() -> None:
    with coverage("('naive', null, true, 5000, 0.99, 0.999)") as connection:
        assert "the 80% band held 99%" in forecast_coverage(connection).description


@pytest.mark.parametrize(("held", "passed"), [(160, True), (100, False)])
def test_a_line_whose_bands_hold_too_little_fails_though_all_lines_together_hold(held: int, passed: bool) -> None:
    with coverage("('naive', null, true, 400, 0.80, 0.95)") as connection:
        connection.execute(
            "insert into ml.premium_forecast_backtest "
            "select 'naive', line, case when number < held then 1 else 9 end, 0, 2, 0, case when number < 190 then 9 "
            "else 2 end from range(200) as numbers (number), "
            "(values ('CL', $held), ('PL', 320 - $held)) as lines (line, held)",
            {"held": held},
        )
        outcome = forecast_coverage(connection)
    assert outcome.passed is passed
    assert ("(line CL)" in outcome.description) is not passed


def test_without_a_backtest_nothing_is_promised() -> None:
    with coverage("") as connection:
        assert forecast_coverage(connection).passed
