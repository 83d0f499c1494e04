"""Sums, ratios, gaps and pages of agency performance."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quintet.insurance.performance import (
    COUNTS,
    DETAIL_KEY,
    MAX_FILTER_VALUES,
    MEASURES,
    PIVOTS,
    RATIO_REASONS,
    RATIOS,
    SUMMARY_COLUMNS,
    UNKNOWN,
    Filters,
    QueryError,
    detail_page,
    summary_frame,
    summary_page,
)
from quintet.insurance.years import NO_COMPLETE_YEAR
from tests.unit.insurance.marts import MASTERS, ROWS, VENDORS, marts_of

ALL = Filters()
GROUPINGS = st.lists(st.sampled_from(list(PIVOTS)), unique=True)


def agencies_of(connection: duckdb.DuckDBPyConnection, **filters: Any) -> list[int]:
    return [row["agency_id"] for row in summary_page(connection, Filters(**filters), ["agency"], None, 50)[0]]


def total(connection: duckdb.DuckDBPyConnection, **filters: Any) -> dict[str, Any]:
    ((row,), following) = summary_page(connection, Filters(**filters), [], None, 1)
    assert following is None
    return row


def all_pages(connection: duckdb.DuckDBPyConnection, group_by: Sequence[str] | None, size: int) -> Iterator[list[Any]]:
    """Every page of the summary, or of the rows where `group_by` is None."""
    after = None
    while True:
        if group_by is None:
            rows, after = detail_page(connection, ALL, after, size)
        else:
            rows, after = summary_page(connection, ALL, group_by, after, size)
        yield rows
        if after is None:
            return


# -- sums --------------------------------------------------------------------------------------------------------------


def exact_summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The sums and ratios of some rows by their definition, in decimals."""
    summary: dict[str, Any] = {"rows": len(rows)}
    for measure in MEASURES:
        known = [row[measure] for row in rows if row[measure] is not None]
        summary[measure] = float(sum(known)) if known else None
    for measure in COUNTS:
        known = [row[measure] for row in rows if row["is_at_end"] and row[measure] is not None]
        summary[measure] = float(sum(known)) if known else None
    for ratio, (base, compared) in RATIOS.items():
        both = [row for row in rows if row[base] is not None and row[compared] is not None]
        if ratio == "growth_rate":
            both = [row for row in both if row["is_complete"] and row["is_at_end"]]
        denominator = sum(Decimal(row[base]) for row in both)
        numerator = sum(Decimal(row[compared]) for row in both)
        if ratio == "growth_rate":
            numerator -= denominator
        summary[ratio] = pytest.approx(float(numerator) / float(denominator)) if denominator > 0 else None
    return summary


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, group_by=GROUPINGS)
def test_every_group_is_summed_exactly_and_its_ratios_use_the_rows_where_both_sides_are_known(
    rows: list[dict[str, Any]], group_by: list[str]
):
    for row in rows:
        row |= {"primary_agency_id": MASTERS[row["agency_id"]], "vendor": VENDORS[row["agency_id"]]}
    marts = marts_of(rows)
    known = {
        tuple(key): (complete, later)
        for *key, complete, later in marts.execute(
            "select agency_id, prod_abbr, state_abbr, year, is_year_complete, next_complete_year "
            "from marts.fct_agency_performance"
        ).fetchall()
    }
    for row in rows:
        complete, later = known[tuple(row[name] for name in DETAIL_KEY)]
        row["is_complete"], row["is_at_end"] = complete, "year" in group_by or (complete and later is None)
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {} if group_by else {(): []}
    for row in rows:
        groups.setdefault(tuple(row[PIVOTS[pivot]] for pivot in group_by), []).append(row)

    summaries, _ = summary_page(marts, ALL, group_by, None, 1_000)

    found = {tuple(summary[PIVOTS[pivot]] for pivot in group_by): summary for summary in summaries}
    assert found.keys() == groups.keys()
    for key, members in groups.items():
        expected = exact_summary(members)
        assert {name: found[key][name] for name in expected} == expected


def test_policies_do_not_add_up_over_years():
    marts = marts_of(
        {"year": year, "policies_in_force": count} for year, count in ((2013, 120), (2014, 110), (2015, 100))
    )

    assert (total(marts)["policies_in_force"], total(marts)["policies_years"]) == (100, [2015])
    assert (total(marts, year_to=2014)["policies_in_force"], total(marts, year_to=2014)["policies_years"]) == (
        110,
        [2014],
    )
    by_year, _ = summary_page(marts, ALL, ["year"], None, 10)
    assert [row["policies_in_force"] for row in by_year] == [120, 110, 100]
    assert total(marts)["retention_ratio_denominator"] == 0


def test_a_range_without_a_complete_year_has_no_policies_and_the_reason():
    short = total(marts_of([{"year": 2015, "months": 5, "policies_in_force": 4}]))

    assert (short["policies_in_force"], short["policies_missing_reason"]) == (None, "no_complete_year")


def test_amounts_of_many_rows_do_not_drift_from_the_cent():
    cents = marts_of({"prod_abbr": str(place), "written_premium": Decimal("0.10")} for place in range(1_000))

    assert total(cents)["written_premium"] == 100.0
    assert sum([0.1] * 1_000) != 100.0


def test_without_rows_all_figures_are_null():
    empty = total(marts_of([]))

    assert (empty["rows"], empty["agencies"], empty["months_covered"]) == (0, 0, 0)
    assert {empty[name] for name in (*MEASURES, *RATIOS)} == {None}
    assert summary_page(marts_of([]), ALL, ["year"], None, 10) == ([], None)


def test_a_sum_of_known_zeros_is_zero():
    assert total(marts_of([{}]))["written_premium"] == 0.0


def test_an_undefined_ratio_has_a_reason():
    marts = marts_of(
        [
            {"year": 2010, "written_premium": 0, "incurred_losses": 5},
            {"year": 2011, "written_premium": None, "incurred_losses": 5},
            {"year": 2012, "written_premium": 10, "incurred_losses": 5},
        ]
    )

    rows, _ = summary_page(marts, ALL, ["year"], None, 10)

    reasons = [row["loss_ratio_missing_reason"] for row in rows]
    assert reasons == ["denominator_not_positive", "no_row_knows_both_sides", None]
    assert [row["loss_ratio"] for row in rows] == [None, None, 0.5]
    assert set(reasons) - {None} == set(RATIO_REASONS) - {NO_COMPLETE_YEAR}


def test_five_months_are_not_compared_with_a_whole_year():
    marts = marts_of(
        [
            {"year": 2013, "written_premium": 100, "prev_written_premium": 80},
            {"year": 2014, "written_premium": 120, "prev_written_premium": 100},
            {"year": 2015, "written_premium": 50, "prev_written_premium": 120, "months": 5},
        ]
    )

    growth = [
        (row["growth_rate"], row["growth_rate_missing_reason"])
        for row in summary_page(marts, ALL, ["year"], None, 9)[0]
    ]
    assert growth == [(0.25, None), (0.2, None), (None, NO_COMPLETE_YEAR)]
    assert total(marts)["growth_rate"] == 0.2
    assert total(marts, year_to=2013)["growth_rate"] == 0.25
    assert total(marts, year_from=2015)["growth_rate_missing_reason"] == NO_COMPLETE_YEAR


def test_missing_figures_are_counted_by_measure_and_reason():
    marts = marts_of(
        [
            {"year": 2010},
            {"year": 2011, "written_premium": None, "incurred_losses": None},
            {"year": 2012, "written_premium": None},
            {"year": 2013, "written_premium": None, "written_premium_missing_reason": "empty_in_source"},
        ]
    )

    assert total(marts)["missing"] == {
        "written_premium": {"empty_in_source": 1, "not_reported": 2},
        "incurred_losses": {"not_reported": 1},
    }
    assert total(marts, year_to=2010)["missing"] == {}


def test_a_group_lists_its_short_years():
    marts = marts_of(
        [
            {"agency_id": 1, "year": 2005, "months": 11},
            {"agency_id": 1, "year": 2006, "months": 12},
            {"agency_id": 2, "year": 2006, "months": 2},  # a product that ended; the year is whole
        ]
    )

    first, second = summary_page(marts, ALL, ["agency"], None, 10)[0]

    assert (first["months_covered"], first["short_years"]) == (
        23,
        [{"year": 2005, "months_covered": 11, "reason": "short"}],
    )
    assert (second["months_covered"], second["short_years"]) == (12, [])
    assert [row["months_covered"] for row in summary_page(marts, ALL, ["year"], None, 10)[0]] == [11, 12]


@settings(max_examples=30, deadline=None)
@given(rows=ROWS, group_by=GROUPINGS)
def test_frame_and_pages_agree(rows: list[dict[str, Any]], group_by: list[str]):
    marts = marts_of(rows)

    frame = summary_frame(marts, ALL, group_by)

    assert list(frame.columns) == [*(PIVOTS[pivot] for pivot in group_by), *SUMMARY_COLUMNS]
    assert str(frame["policies_in_force"].dtype) == "Int64"
    assert str(frame["written_premium"].dtype) == "float64"
    plain = frame.astype(object).where(frame.notna(), None).to_dict("records")
    assert plain == summary_page(marts, ALL, group_by, None, 1_000)[0]


# -- pages -------------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, group_by=GROUPINGS, size=st.integers(1, 30))
def test_the_pages_of_a_summary_are_the_whole(rows: list[dict[str, Any]], group_by: list[str], size: int):
    marts = marts_of(rows)
    whole, _ = summary_page(marts, ALL, group_by, None, 1_000)

    pages = list(all_pages(marts, group_by, size))

    assert [row for page in pages for row in page] == whole
    assert all(len(page) == size for page in pages[:-1])
    assert pages[-1] or not whole


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, size=st.integers(1, 30))
def test_the_pages_of_the_detail_are_every_row_in_order(rows: list[dict[str, Any]], size: int):
    pages = list(all_pages(marts_of(rows), None, size))

    keys = [tuple(row[name] for name in DETAIL_KEY) for page in pages for row in page]
    assert keys == sorted(tuple(row[name] for name in DETAIL_KEY) for row in rows)
    assert all(len(page) == size for page in pages[:-1])
    assert pages[-1] or not rows


def test_unknown_keys_come_last_and_are_paged_through():
    marts = marts_of({"agency_id": agency, "year": year} for agency in MASTERS for year in (2010, 2011))

    rows, after = summary_page(marts, ALL, ["vendor", "year"], None, 4)
    rest, end = summary_page(marts, ALL, ["vendor", "year"], after, 4)

    keys = [(row["vendor"], row["year"]) for row in rows + rest]
    assert keys == [("A", 2010), ("A", 2011), ("B", 2010), ("B", 2011), (None, 2010), (None, 2011)]
    assert (after, end) == (("B", 2011), None)


def test_a_detail_row_has_its_gaps_explained_and_its_agency_beside_it():
    marts = marts_of([{"agency_id": 1, "written_premium": None, "incurred_losses": Decimal("-0.25")}])

    ((row,), _) = detail_page(marts, ALL, None, 10)

    assert (row["written_premium"], row["written_premium_missing_reason"]) == (None, "not_reported")
    assert (row["incurred_losses"], row["primary_agency_id"], row["vendor"]) == (-0.25, 7, "A")


@settings(max_examples=20, deadline=None)
@given(rows=ROWS, group_by=GROUPINGS)
def test_rows_are_json_values(rows: list[dict[str, Any]], group_by: list[str]):
    marts = marts_of(rows)

    for page in (summary_page(marts, ALL, group_by, None, 9), detail_page(marts, ALL, None, 9)):
        text = json.dumps(page, allow_nan=False)
        assert json.loads(text)[0] == page[0]


@pytest.mark.parametrize(
    "after", [(), (1,), (1, "CL", 2011), ("CL", 1), (1, 2), (1.5, "CL"), (True, "CL"), (1, ["CL"])]
)
def test_a_key_of_another_query_is_rejected(after: tuple[Any, ...]):
    with pytest.raises(QueryError, match=r"^after: .*start again"):
        summary_page(marts_of([{}]), ALL, ["agency", "prod_line"], after, 10)


def test_a_key_of_a_deleted_row_still_pages_on():
    marts = marts_of([{"agency_id": 1}, {"agency_id": 4}])

    rows, _ = summary_page(marts, ALL, ["agency", "prod_line"], (3, "ZZ"), 10)

    assert [row["agency_id"] for row in rows] == [4]


def test_a_page_of_no_rows_is_rejected():
    with pytest.raises(QueryError, match=r"^limit: "):
        detail_page(marts_of([]), ALL, None, 0)


# -- filters and pivots ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def book() -> duckdb.DuckDBPyConnection:
    return marts_of(
        [
            {"agency_id": 1, "prod_abbr": "BOP", "prod_line": "CL", "state_abbr": "OH", "year": 2010},
            {"agency_id": 2, "prod_abbr": "CYCLES  12", "prod_line": "PL", "state_abbr": "IN", "year": 2011},
            {"agency_id": 3, "prod_abbr": "BOP", "prod_line": "CL", "state_abbr": "IN", "year": 2012},
            {"agency_id": 4, "prod_abbr": "ANNIV", "prod_line": "PL", "state_abbr": "OH", "year": 2013},
        ]
    )


@pytest.mark.parametrize(
    ("filters", "agencies"),
    [
        ({}, [1, 2, 3, 4]),
        ({"agency": [2, 4, 4]}, [2, 4]),
        ({"primary_agency": [7]}, [1, 3]),
        ({"primary_agency": [UNKNOWN]}, [2, 4]),
        ({"primary_agency": [7, None]}, [1, 2, 3, 4]),
        ({"product": ["CYCLES  12"]}, [2]),
        ({"product": ["CYCLES 12"]}, []),
        ({"prod_line": ["PL"]}, [2, 4]),
        ({"state": ["OH"]}, [1, 4]),
        ({"state": ["oh"]}, []),
        ({"vendor": ["A", "B"]}, [1, 4]),
        ({"vendor": [UNKNOWN, "B"]}, [2, 3, 4]),
        ({"year_from": 2011}, [2, 3, 4]),
        ({"year_to": 2011}, [1, 2]),
        ({"year_from": 2011, "year_to": 2011}, [2]),
        ({"state": ["IN"], "vendor": [UNKNOWN], "year_to": 2011}, [2]),
    ],
)
def test_rows_must_match_every_filter_and_one_of_its_values(
    book: duckdb.DuckDBPyConnection, filters: dict[str, Any], agencies: list[int]
):
    assert agencies_of(book, **filters) == agencies


@pytest.mark.parametrize("text", ["OH' or '1'='1", "'; drop table marts.dim_year; --", "OH) or (true", "%", "?"])
def test_sql_in_a_filter_is_a_text_that_matches_nothing(book: duckdb.DuckDBPyConnection, text: str):
    assert agencies_of(book, state=[text]) == []
    assert agencies_of(book, vendor=[text], product=[text]) == []
    assert agencies_of(book) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("parameter", "filters"),
    [
        ("year_from", {"year_from": 2012, "year_to": 2010}),
        ("year_from", {"year_from": 99999}),
        ("year_to", {"year_to": 1899}),
        ("year_to", {"year_to": 2012.5}),
        ("year_to", {"year_to": True}),
        ("agency", {"agency": range(MAX_FILTER_VALUES + 1)}),
        ("agency", {"agency": ["3"]}),
        ("agency", {"agency": [None]}),
        ("agency", {"agency": [-1]}),
        ("agency", {"agency": [2**63]}),
        ("primary_agency", {"primary_agency": ["none"]}),
        ("state", {"state": "OH"}),
        ("state", {"state": [""]}),
        ("state", {"state": [None]}),
        ("state", {"state": [3]}),
        ("product", {"product": ["a\0b"]}),
        ("product", {"product": ["\ud800"]}),
    ],
)
def test_an_invalid_value_is_rejected_with_the_name_of_its_filter(parameter: str, filters: dict[str, Any]):
    with pytest.raises(QueryError, match=rf"^{parameter}: ") as caught:
        Filters(**filters)
    assert caught.value.parameter == parameter
    assert isinstance(caught.value, ValueError)


def test_as_many_values_as_allowed_are_accepted(book: duckdb.DuckDBPyConnection):
    assert agencies_of(book, agency=range(MAX_FILTER_VALUES)) == [1, 2, 3, 4]
    assert agencies_of(book, agency=[2**63 - 1]) == []


@pytest.mark.parametrize(
    ("group_by", "text"),
    [
        (["month"], "no pivot 'month'; there are agency, primary_agency, product"),
        (["agency_id"], "no pivot 'agency_id'"),
        (["year; drop table x"], "no pivot"),
        (["year", "state", "year"], "year is repeated"),
    ],
)
def test_an_unknown_or_repeated_pivot_is_rejected(book: duckdb.DuckDBPyConnection, group_by: list[str], text: str):
    with pytest.raises(QueryError, match=f"^group_by: .*{text}"):
        summary_frame(book, ALL, group_by)
    with pytest.raises(QueryError, match=r"^group_by: "):
        summary_page(book, ALL, group_by, None, 10)


def test_only_filters_that_are_set_are_listed():
    assert Filters(state=["OH"], year_to=2012, vendor=[UNKNOWN]).given() == {
        "state": ("OH",),
        "vendor": (None,),
        "year_to": 2012,
    }
    assert ALL.given() == {}


def test_an_empty_frame_has_its_columns_and_types():
    frame = summary_frame(marts_of([]), ALL, ["agency", "vendor"])

    assert frame.empty
    assert isinstance(frame["agency_id"].dtype, pd.Int64Dtype)
    assert frame["loss_ratio"].dtype == "float64"
