"""Filters add up the rows that they select, and matches with another partner count as not matched."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import duckdb
import pytest

from quintet.conversions.selection import (
    STEPS,
    Selection,
    levels_of,
    selected_cells,
    selected_funnel,
    selected_outcomes,
)

COLUMNS = (
    "day date, country varchar, device varchar, page_category varchar, ui_element varchar, partner varchar, "
    "outcome varchar, is_scanner_traffic boolean, conversions bigint, reachable_conversions bigint, "
    "reachable_sessions bigint, matched_sessions bigint, scored_conversions bigint, important_conversions bigint, "
    "scored_sessions bigint, important_sessions bigint, score_total hugeint, score_squares hugeint, score_cubes hugeint"
)


@pytest.fixture
def cursor() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("create schema ml")
        connection.execute(f"create table ml.conversion_cube ({COLUMNS})")
        for row in (
            "'2024-05-01', 'DE', 'mobile', 'A', 'x', 'one', 'matched', false, 5, 5, 5, 5, 5, 2, 5, 2, 3e6, 5e6, 9e6",
            "'2024-05-02', 'DE', 'desktop', 'B', 'x', 'two', 'matched', false, 3, 3, 3, 3, 3, 1, 3, 1, 1e6, 1e6, 1e6",
            "'2024-05-02', 'FR', 'mobile', 'A', 'y', '(no partner)', 'no_candidate', false, 4, 4, 4, 0, 0, 0, 0, 0, 0, "
            "0, 0",
            "'2024-05-03', 'FR', 'mobile', 'A', 'y', '(no partner)', 'outside_time_span', true, 7, 0, 0, 0, 0, 0, 0, "
            "0, 0, 0, 0",
        ):
            connection.execute(f"insert into ml.conversion_cube values ({row})")
        yield connection


@pytest.mark.parametrize(
    ("selection", "rows"),
    [
        (Selection(), [19, 12, 8, 8, 8, 3]),
        (Selection(country=("DE",)), [8, 8, 8, 8, 8, 3]),
        (Selection(page=("A", "B"), device="mobile"), [16, 9, 5, 5, 5, 2]),
        (Selection(date_from=dt.date(2024, 5, 2), date_to=dt.date(2024, 5, 2)), [7, 7, 3, 3, 3, 1]),
        (Selection(partner="one"), [19, 12, 8, 5, 5, 2]),
        (Selection(country=("JP",)), [0, 0, 0, 0, 0, 0]),
    ],
)
def test_the_funnel_counts_what_is_selected(
    cursor: duckdb.DuckDBPyConnection, selection: Selection, rows: list[int]
) -> None:
    funnel = selected_funnel(cursor, selection)

    assert funnel["step"].tolist() == list(STEPS)
    assert funnel["rows"].tolist() == rows


def test_matches_with_another_partner_are_another_outcome(cursor: duckdb.DuckDBPyConnection) -> None:
    outcomes = selected_outcomes(cursor, Selection(partner="one")).set_index("outcome")["rows"].to_dict()

    assert outcomes == {"outside_time_span": 7, "matched": 5, "no_candidate": 4, "matched_elsewhere": 3}


def test_cells_sum_the_sessions_of_each_level_without_scanners(cursor: duckdb.DuckDBPyConnection) -> None:
    cells = selected_cells(cursor, Selection()).set_index(["measure", "dimension", "level"])

    sums = cells.groupby(level=["measure", "dimension", "level"])[["n", "total"]].sum()
    assert sums.loc[("match_rate", "country", "DE")].tolist() == [8, 8.0]
    assert sums.loc[("match_rate", "country", "FR")].tolist() == [4, 0.0]
    assert sums.loc[("mean_score", "device", "mobile"), "total"] == 3.0
    assert ("match_rate", "day", "2024-05-03") not in cells.index, "scanners count in no rate"


def test_levels_are_those_of_the_data_without_the_mark_for_no_partner(cursor: duckdb.DuckDBPyConnection) -> None:
    levels = levels_of(cursor)

    assert levels["day"] == [dt.date(2024, 5, 1), dt.date(2024, 5, 3)]
    assert levels["partner"] == ["one", "two"]
    assert levels["page_category"] == ["A", "B"]
