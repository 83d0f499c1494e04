"""The card of insurance: the written premium of the last complete year against the year before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb
import pytest

from quintet.insurance.card import card

Year = tuple[int, bool, float | None, float | None]
"""Year, whether it is complete, written premium and losses."""


@pytest.fixture
def marts() -> Iterator[duckdb.DuckDBPyConnection]:
    """Return the tables of the card, empty."""
    with duckdb.connect() as connection:
        connection.execute("create schema marts")
        connection.execute("create table marts.dim_year (year integer, is_complete boolean)")
        connection.execute(
            "create table marts.fct_agency_performance (year integer, written_premium double, incurred_losses double)"
        )
        yield connection


def _fill(marts: duckdb.DuckDBPyConnection, years: Sequence[Year]) -> None:
    for year, is_complete, premium, losses in years:
        marts.execute("insert into marts.dim_year values (?, ?)", [year, is_complete])
        marts.execute("insert into marts.fct_agency_performance values (?, ?, ?)", [year, premium, losses])


def test_an_incomplete_year_is_not_compared(marts: duckdb.DuckDBPyConnection) -> None:
    _fill(marts, [(2012, True, 100, 50), (2013, True, 110, 55), (2014, False, 10, 1)])
    found = card(marts)
    assert (found.label, found.value, found.change_against) == ("Written premium 2013", 110, "against 2012")
    assert found.change == pytest.approx(0.1)
    assert list(found.trend) == [100, 110]


@pytest.mark.parametrize("before", [(2011, True, 100.0, 1.0), (2012, True, 0.0, 1.0), (2012, True, None, None)])
def test_without_a_premium_of_the_year_before_there_is_no_growth(
    marts: duckdb.DuckDBPyConnection, before: Year
) -> None:
    _fill(marts, [before, (2013, True, 110, 55)])
    assert card(marts).change is None


@pytest.mark.parametrize(
    ("losses", "state", "weight"),
    [(55.0, "loss ratio 50%", "none"), (110.0, "loss ratio 100%", "warning"), (None, "no loss ratio", "none")],
)
def test_losses_above_premium_are_a_warning(
    marts: duckdb.DuckDBPyConnection, losses: float | None, state: str, weight: str
) -> None:
    _fill(marts, [(2013, True, 110, losses)])
    found = card(marts)
    assert (found.state, found.weight) == (state, weight)


def test_without_a_complete_year_there_is_no_number(marts: duckdb.DuckDBPyConnection) -> None:
    _fill(marts, [(2013, False, 110, 55)])
    found = card(marts)
    assert (found.value, found.state) == (None, "no complete year")
