"""Complete and incomplete years: their reasons in words, and the rows whose policies stand for a range of years."""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

INCOMPLETE: Mapping[str, str] = MappingProxyType(
    {
        "short": "less than twelve months",
        "few_rows": "few rows so far",
        "future": "in the future",
        "detached": "few rows, and no year beside it has any",
    }
)
"""Why a year is not complete (`dim_year.incomplete_reason`), in words."""

NO_COMPLETE_YEAR = "no_complete_year"
"""Why a range of years has no policies or no growth: no year of it is complete."""


def year_in_words(year: int, months: int, reason: str) -> str:
    """Return a year that is not complete, with the reason: "2015 (5 months)", "2041 (in the future)"."""
    return f"{year} ({f'{months} months' if reason == 'short' else INCOMPLETE[reason]})"


def at_end_of_range(year_from: int | None, year_to: int | None, columns: Collection[str]) -> str:
    """Return SQL for whether a row of the fact has the policies at the end of a range of years.

    Policies are a stock. Those of a range are of its last complete year, for each agency, product and state; those of
    a single year are of that year, complete or not. columns: the columns that the sums are grouped by.
    """
    if "year" in columns or (year_from is not None and year_from == year_to):
        return "true"
    later = "" if year_to is None else f" or next_complete_year > {year_to:d}"
    return f"is_year_complete and (next_complete_year is null{later})"


def coverage(years: Iterable[int], covered: Mapping[int, tuple[int, str | None]]) -> dict[str, Any]:
    """Return `months_covered`, the sum over the years, and `short_years`, those that are not complete.

    covered: by year, the months that the data covers and why the year is not complete, null where it is.
    """
    known = [(year, *covered[year]) for year in sorted(years)]
    return {
        "months_covered": sum(months for _, months, _ in known),
        "short_years": [
            {"year": year, "months_covered": months, "reason": reason}
            for year, months, reason in known
            if reason is not None
        ],
    }
