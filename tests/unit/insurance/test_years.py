"""Years: why one is not complete, and which rows hold the policies of a range of years."""

from __future__ import annotations

import duckdb
import pytest

from quintet.insurance.years import INCOMPLETE, at_end_of_range, coverage, year_in_words

_YEARS = """(values (2013, true, 2014), (2014, true, null), (2015, false, null))
    as t(year, is_year_complete, next_complete_year)"""


def years_with_policies(year_from: int | None, year_to: int | None, *columns: str) -> list[int]:
    """Return the years whose rows have the policies of a range, where 2013 and 2014 are complete and 2015 is not."""
    within = f"year between {year_from or 0} and {year_to or 9_999}"
    found = duckdb.sql(
        f"select year from {_YEARS} where {within} and {at_end_of_range(year_from, year_to, columns)} order by 1"
    )
    return [year for (year,) in found.fetchall()]


@pytest.mark.parametrize(
    ("year_from", "year_to", "columns", "expected"),
    [
        (None, None, (), [2014]),
        (2013, 2015, (), [2014]),
        (None, 2013, (), [2013]),
        (2014, None, (), [2014]),
        (2015, 2015, (), [2015]),  # a single year stands for itself, complete or not
        (2015, None, (), []),
        (None, None, ("year",), [2013, 2014, 2015]),
        (None, None, ("state",), [2014]),
    ],
)
def test_the_policies_of_a_range_are_those_of_its_last_complete_year(
    year_from: int | None, year_to: int | None, columns: tuple[str, ...], expected: list[int]
) -> None:
    assert years_with_policies(year_from, year_to, *columns) == expected


@pytest.mark.parametrize("reason", INCOMPLETE)
def test_every_reason_is_a_phrase_and_only_a_short_year_counts_its_months(reason: str) -> None:
    words = year_in_words(2015, 5, reason)

    assert words == ("2015 (5 months)" if reason == "short" else f"2015 ({INCOMPLETE[reason]})")


def test_coverage_adds_the_months_and_names_the_years_that_are_not_complete() -> None:
    covered = {2013: (12, None), 2014: (12, None), 2015: (5, "short")}

    assert coverage([2015, 2014], covered) == {
        "months_covered": 17,
        "short_years": [{"year": 2015, "months_covered": 5, "reason": "short"}],
    }
    assert coverage([2013], covered) == {"months_covered": 12, "short_years": []}
