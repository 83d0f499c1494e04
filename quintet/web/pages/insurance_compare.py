"""Two periods of insurance compared, as a tab of its page."""

from __future__ import annotations

import duckdb
from starlette.datastructures import QueryParams

from quintet.insurance.comparison import compare_periods, complete_years
from quintet.insurance.performance import Filters, QueryError
from quintet.presentation.design import Column
from quintet.web.contexts import ComparedPeriods
from quintet.web.forms import whole_number
from quintet.web.rendering import Filter, Option, Table

AGENCY_PATH = "/insurance/agencies/{agency_id}"

COMPARED_COLUMNS = (
    Column("agency_id", "Agency", "identifier"),
    Column("premium_before", "Premium a year, before", "money", "USD"),
    Column("premium_now", "Premium a year, now", "money", "USD"),
    Column("change", "Change", "money", "USD"),
    Column("growth", "Growth", "change"),
    Column("loss_ratio_before", "Loss ratio, before", "percent"),
    Column("loss_ratio_now", "Loss ratio, now", "percent"),
)


def compared_periods(
    cursor: duckdb.DuckDBPyConnection, filters: Filters, given: QueryParams, problem: str | None
) -> tuple[ComparedPeriods | None, str | None]:
    """Return the two periods of a page's address compared, and what is wrong with them.

    Without years in the address they are the last complete year and the one before it.
    """
    years = complete_years(cursor)
    if len(years) < 2:
        return None, problem or "year: two complete years are needed to compare them"
    chosen = {}
    for name, usual in (("before_from", -2), ("before_to", -2), ("now_from", -1), ("now_to", -1)):
        text = given.get(name) or str(years[usual])
        number = whole_number(text, 9_999)
        if number is None:
            return None, f"{name}: {text[:40]!r} is not a year; write one like 2012"
        chosen[name] = number
    try:
        found = compare_periods(
            cursor, filters, (chosen["before_from"], chosen["before_to"]), (chosen["now_from"], chosen["now_to"])
        )
    except QueryError as error:
        return None, str(error)
    words = [
        f"{first}" if first == last else f"{first} to {last}"
        for first, last in ((chosen["before_from"], chosen["before_to"]), (chosen["now_from"], chosen["now_to"]))
    ]
    table = Table(
        found.agencies, COMPARED_COLUMNS, f"{words[1]} against {words[0]}, by agency", len(found.agencies),
        link=("agency_id", AGENCY_PATH), nothing="No agency has premium in either period.",
    )  # fmt: skip
    labels = {"before_from": "Before, from", "before_to": "Before, to", "now_from": "Now, from", "now_to": "Now, to"}
    return {
        "fields": [
            Filter(name, label, "select", [Option(str(year), str(year)) for year in years], [str(chosen[name])])
            for name, label in labels.items()
        ],
        "growth": found.growth,
        "before": found.before,
        "now": found.now,
        "before_in_words": words[0],
        "now_in_words": words[1],
        "comparable": found.comparable,
        "table": table,
    }, problem
