"""The card of payments: the last day against the day before, with its incidents."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from quintet.payments.card import card


@pytest.fixture
def marts() -> Iterator[duckdb.DuckDBPyConnection]:
    """Return the tables of the card, empty."""
    with duckdb.connect() as connection:
        connection.execute("create schema marts")
        connection.execute("create table marts.fct_payment_minutes (day date, minute_of_day integer, count integer)")
        connection.execute(
            "create table marts.fct_payment_incidents (started_at timestamp, ended_at timestamp, severity varchar)"
        )
        yield connection


def _minutes(marts: duckdb.DuckDBPyConnection, *rows: tuple[str, int, int]) -> None:
    marts.executemany("insert into marts.fct_payment_minutes values (?, ?, ?)", rows)


def test_without_a_file_there_is_no_number(marts: duckdb.DuckDBPyConnection) -> None:
    found = card(marts)
    assert (found.value, found.state) == (None, "no file")


def test_the_last_day_is_compared_with_the_day_before(marts: duckdb.DuckDBPyConnection) -> None:
    _minutes(marts, ("2024-01-01", 0, 100), ("2024-01-02", 0, 100), ("2024-01-02", 90, 50))
    found = card(marts)
    assert (found.value, found.change, found.change_against) == (150, 0.5, "against 2024-01-01")
    assert list(found.trend) == [100, 50]  # two days are drawn by hour


def test_a_single_day_is_compared_with_nothing(marts: duckdb.DuckDBPyConnection) -> None:
    _minutes(marts, ("2024-01-01", 0, 100))
    found = card(marts)
    assert (found.change, found.change_against, found.state, found.weight) == (None, "", "no incident", "none")


def test_three_days_are_drawn_by_day(marts: duckdb.DuckDBPyConnection) -> None:
    _minutes(marts, *[(f"2024-01-0{day}", 0, 10 * day) for day in (1, 2, 3)])
    assert list(card(marts).trend) == [10, 20, 30]


@pytest.mark.parametrize(
    ("started_at", "ended_at", "state", "weight"),
    [
        ("2024-01-02 10:00", "2024-01-02 11:00", "1 incident, 1 critical", "critical"),
        ("2024-01-01 23:00", None, "1 incident, 1 critical", "critical"),  # it lasts
        ("2024-01-01 10:00", "2024-01-01 11:00", "no incident", "none"),
    ],
)
def test_incidents_of_the_day_are_its_state(
    marts: duckdb.DuckDBPyConnection, started_at: str, ended_at: str | None, state: str, weight: str
) -> None:
    _minutes(marts, ("2024-01-02", 0, 100))
    marts.execute("insert into marts.fct_payment_incidents values (?, ?, 'critical')", [started_at, ended_at])
    found = card(marts)
    assert (found.state, found.weight) == (state, weight)
