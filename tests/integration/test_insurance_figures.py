"""The published figures of the real agencies: summaries, premium report and segments."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import openpyxl
import pytest

from quintet.insurance.performance import COUNTS, MEASURES, PIVOTS, Filters, detail_page, summary_frame, summary_page
from quintet.insurance.premium_report import premium_report, write_csv
from quintet.insurance.premium_workbook import ALL_LINES, COVER, TABLE, write_workbook
from quintet.warehouse.snapshot import open_snapshot
from tests.statements import missing

if TYPE_CHECKING:
    from tests.conftest import Quintet

pytestmark = pytest.mark.real_data

FORECAST_RECORD = Path(__file__).parents[2] / "docs" / "decisions" / "premium-forecast.md"
YEARS = Filters(year_from=2010, year_to=2012)


@pytest.fixture(scope="module")
def snapshot(real: Quintet) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_snapshot(real.snapshot) as connection:
        yield connection


@pytest.fixture(scope="module")
def workbook(snapshot: duckdb.DuckDBPyConnection) -> openpyxl.Workbook:
    ((snapshot_id, published_at),) = snapshot.execute("select snapshot_id, published_at from marts.snapshot").fetchall()
    file = io.BytesIO()
    write_workbook(premium_report(snapshot, YEARS, snapshot_id=snapshot_id, published_at=published_at), file)
    return openpyxl.load_workbook(file)


def exact(snapshot: duckdb.DuckDBPyConnection, measure: str, is_by_year: bool) -> Decimal:
    """Return the sum over the years; policies are a stock, so that of their last complete year in the range."""
    rows = "marts.fct_agency_performance where year between 2010 and 2012"
    if measure in COUNTS and not is_by_year:
        rows += " and is_year_complete qualify year = max(year) over (partition by agency_id, prod_abbr, state_abbr)"
    ((value,),) = snapshot.execute(f"select sum({measure}) from (from {rows})").fetchall()
    return Decimal(value)


def test_premium_and_loss_ratio_by_line(snapshot: duckdb.DuckDBPyConnection) -> None:
    rows, following = summary_page(snapshot, YEARS, ["prod_line"], None, 50)
    assert following is None
    assert [(row["prod_line"], row["written_premium"], round(row["loss_ratio"], 6)) for row in rows] == [
        ("CL", 17_507_846.70, 0.944463),
        ("PL", 27_303_890.11, 0.555008),
    ]


@pytest.mark.parametrize("group_by", [list(pivots) for size in (1, 2) for pivots in combinations(PIVOTS, size)])
def test_the_sum_over_any_pivot_is_the_same(snapshot: duckdb.DuckDBPyConnection, group_by: list[str]) -> None:
    frame = summary_frame(snapshot, YEARS, group_by)
    for measure in MEASURES:
        total = sum((Decimal(repr(value)) for value in frame[measure].dropna().tolist()), Decimal(0))
        assert total == exact(snapshot, measure, is_by_year="year" in group_by)
    assert frame["rows"].sum() == 2_750


def test_the_ratios_are_those_of_the_aggregate_in_the_marts(snapshot: duckdb.DuckDBPyConnection) -> None:
    ratios = ["loss_ratio", "retention_ratio", "growth_rate"]
    mart = snapshot.execute(
        f"select {', '.join(ratios)} from marts.agg_premium_by_agency_line_year order by agency_id, prod_line, year"
    ).df()
    frame = summary_frame(snapshot, Filters(), ["agency", "prod_line", "year"])[ratios]
    assert frame.round(12).equals(mart.round(12))


def test_the_detail_is_every_row_once(snapshot: duckdb.DuckDBPyConnection) -> None:
    rows: list[Any] = []
    after = None
    while not rows or after:
        page, after = detail_page(snapshot, Filters(), after, 1_000)
        rows += page
    assert len({(row["_batch_id"], row["_source_row"]) for row in rows}) == len(rows) == 10_000


def test_the_short_years_and_missing_figures_are_listed(snapshot: duckdb.DuckDBPyConnection) -> None:
    ((total,), _) = summary_page(snapshot, Filters(), [], None, 1)
    short = {year["year"]: year["months_covered"] for year in total["short_years"]}
    assert short == {2005: 8, 2015: 5}
    unknown = {"previous_year_unknown": 542}
    assert total["missing"] == {"prev_written_premium": unknown, "prev_policies_in_force": unknown}


def test_the_report_totals_are_exact_to_the_cent(
    snapshot: duckdb.DuckDBPyConnection, workbook: openpyxl.Workbook
) -> None:
    heading, *rows = workbook[TABLE].iter_rows(values_only=True)
    table = [dict(zip(heading, row, strict=True)) for row in rows]
    lines = [row for row in table if row["Product line"] != ALL_LINES]
    subtotals = [row for row in table if row["Product line"] == ALL_LINES and row["Agency"] != "All agencies"]
    (total,) = [row for row in table if row["Agency"] == "All agencies"]
    for name, measure in (
        ("Written premium, USD", "written_premium"),
        ("New business, USD", "new_business_premium"),
        ("Premium the year before, USD", "prev_written_premium"),
        ("Incurred losses, USD", "incurred_losses"),
    ):
        expected = exact(snapshot, measure, is_by_year=False)
        for level in (lines, subtotals, [total]):
            assert sum(Decimal(repr(row[name])) for row in level if row[name] is not None) == expected
    by_line = {row[1]: row[2] for row in workbook[COVER].iter_rows(values_only=True)}
    assert by_line["CL, commercial lines"] == 17_507_846.70
    assert by_line["PL, personal lines"] == 27_303_890.11


def test_the_csv_report_has_the_same_sums(snapshot: duckdb.DuckDBPyConnection) -> None:
    header, *lines = b"".join(write_csv(snapshot, YEARS)).decode().splitlines()
    place = header.split(",").index("written_premium")
    assert sum(Decimal(line.split(",")[place]) for line in lines) == exact(
        snapshot, "written_premium", is_by_year=False
    )


def test_every_agency_has_one_segment_by_the_years_2012_to_2014(snapshot: duckdb.DuckDBPyConnection) -> None:
    counted = snapshot.execute("select segment, count(*) from marts.dim_agency_segment group by all").fetchall()
    assert dict(counted) == {
        "dormant": 34,
        "watch": 12,
        "repair": 5,
        "retain": 9,
        "revive": 7,
        "grow": 4,
        "invest": 6,
        "keep": 6,
    }
    windows = "select distinct recent_from_year, recent_to_year, earlier_from_year, earlier_to_year"
    assert snapshot.execute(f"{windows} from marts.dim_agency_segment").fetchall() == [(2012, 2014, 2009, 2011)]


def test_the_segments_follow_their_rules(snapshot: duckdb.DuckDBPyConnection) -> None:
    query = """
        select segment, sum(incurred_losses) / sum(written_premium) from marts.fct_agency_performance
        join marts.dim_agency_segment using (agency_id)
        where year between recent_from_year and recent_to_year and segment not in ('dormant', 'watch')
        group by all
    """
    loss_ratios = dict(snapshot.execute(query).fetchall())
    assert loss_ratios.pop("repair") >= 0.7
    assert max(loss_ratios.values()) < 0.7


def of_the_forecast(snapshot: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the statements of the decision record, with the figures of a snapshot."""
    scores = snapshot.execute("""
        select
            model,
            list(wape order by year) filter (where year is not null),
            any_value(wape) filter (where year is null),
            any_value(wape_vs_naive) filter (where year is null),
            any_value(coverage80) filter (where year is null),
            any_value(coverage95) filter (where year is null),
            any_value(n) filter (where year is null)
        from marts.fct_premium_forecast_scores
        where model <> 'best_so_far'
        group by model
    """).fetchall()
    held = dict(
        snapshot.execute("""
            select prod_line, avg((actual between lo80 and hi80)::int)
            from marts.fct_premium_forecast_backtest
            join (select distinct model from marts.fct_premium_forecast_scores where is_chosen) using (model)
            group by prod_line
        """).fetchall()
    )
    rows = [
        f"| {model} | {' | '.join(f'{each:.3f}' for each in by_year)} | {pooled:.3f} | "
        f"{'' if model == 'naive' else f'{against:+.1%} '}| {held80:.0%} | {held95:.0%} |"
        for model, by_year, pooled, against, held80, held95, _ in scores
    ]
    gain = min(against for _, _, _, against, *_ in scores)
    return [
        *rows,
        f"83 agencies, {scores[0][-1]} forecasts",
        f"part of the {-gain:.1%} is hindsight",
        f"80% bands hold {held['PL']:.0%} of personal lines and {held['CL']:.0%} of commercial lines",
    ]


def test_the_record_of_the_forecast_states_its_figures(snapshot: duckdb.DuckDBPyConnection) -> None:
    page = FORECAST_RECORD.read_text("utf-8")
    statements = of_the_forecast(snapshot)
    assert missing(statements, page) == []
    changed = re.sub(r"0\.132", "0.133", page)
    assert [statement[:15] for statement in missing(statements, changed)] == ["| combination |"]
