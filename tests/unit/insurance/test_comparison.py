"""Two periods compared: growth is of agencies with premium in both, of complete years, averaged."""

from __future__ import annotations

import duckdb
import pytest

from quintet.insurance.comparison import compare_periods, complete_years
from quintet.insurance.performance import Filters, QueryError
from tests.unit.insurance.marts import marts_of

PREMIUM = {
    1: {2009: 100, 2010: 200, 2011: 300, 2012: 50},
    2: {2009: 10, 2010: 10, 2011: 0, 2012: 1},
    3: {2011: 77},
    4: {2009: 0, 2010: 5, 2011: 5},
}


@pytest.fixture
def marts() -> duckdb.DuckDBPyConnection:
    """Marts of 2009 to 2011, and of three months of 2012."""
    return marts_of(
        {"agency_id": agency, "year": year, "months": 3 if year == 2012 else 12, "written_premium": premium}
        for agency, years in PREMIUM.items()
        for year, premium in years.items()
    )


def test_agencies_of_one_period_alone_have_no_growth_and_are_in_no_total(marts: duckdb.DuckDBPyConnection) -> None:
    found = compare_periods(marts, Filters(), (2009, 2009), (2011, 2011))
    growth = found.agencies.set_index("agency_id")["growth"]

    assert (found.before, found.now, found.comparable) == (110, 300, 2)
    assert found.growth == pytest.approx(300 / 110 - 1)
    assert growth.loc[1] == pytest.approx(2)
    assert growth.loc[2] == pytest.approx(-1)
    assert growth.loc[[3, 4]].isna().all(), "3 has no premium before, 4 none above zero"
    assert found.agencies["agency_id"].iloc[0] == 1, "the largest change first"


def test_years_of_a_period_are_averaged_and_filters_hold(marts: duckdb.DuckDBPyConnection) -> None:
    found = compare_periods(marts, Filters(agency=(1,)), (2009, 2010), (2011, 2011))

    assert (found.before, found.now, found.comparable) == (150, 300, 1)


def test_a_part_of_a_year_is_not_compared_with_a_whole_one(marts: duckdb.DuckDBPyConnection) -> None:
    assert complete_years(marts) == [2009, 2010, 2011]
    with pytest.raises(QueryError, match="2012 is not complete; choose complete years: 2009 to 2011"):
        compare_periods(marts, Filters(), (2009, 2009), (2011, 2012))
    with pytest.raises(QueryError, match="swap the two"):
        compare_periods(marts, Filters(), (2010, 2009), (2011, 2011))


def test_without_premium_before_there_is_no_growth(marts: duckdb.DuckDBPyConnection) -> None:
    assert compare_periods(marts, Filters(agency=(3,)), (2009, 2009), (2011, 2011)).growth is None
