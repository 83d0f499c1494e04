"""The premium report as figures, workbook and CSV."""

from __future__ import annotations

import csv
import datetime as dt
import io
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
from hypothesis import given, settings

from quintet.insurance import premium_report as report_module
from quintet.insurance import premium_workbook as workbook_module
from quintet.insurance.performance import Filters, QueryError
from quintet.insurance.premium_report import PremiumReport, period, premium_report, write_csv
from quintet.insurance.premium_workbook import (
    ALL_LINES,
    CHARTS,
    COVER,
    NOTES,
    TABLE,
    ReportTooLargeError,
    write_premium_report,
    write_workbook,
)
from tests.unit.insurance.marts import ROWS, marts_of

PUBLISHED = dt.datetime(2026, 3, 1, 9, 30, 12, 345)
BOOK = [
    {"agency_id": 1, "year": 2010, "written_premium": Decimal("100.10"), "incurred_losses": 50, "policies_in_force": 9},
    {"agency_id": 1, "year": 2011, "written_premium": Decimal("200.20"), "incurred_losses": 50, "policies_in_force": 5},
    {"agency_id": 1, "year": 2011, "prod_abbr": "ANNIV", "prod_line": "PL", "written_premium": Decimal("-0.30")},
    {"agency_id": 2, "year": 2010, "written_premium": 1000, "prev_written_premium": None, "policies_in_force": 3},
]


@pytest.fixture(scope="module")
def book() -> duckdb.DuckDBPyConnection:
    return marts_of(BOOK)


def report_of(connection: duckdb.DuckDBPyConnection, **filters: Any) -> PremiumReport:
    return premium_report(connection, Filters(**filters), snapshot_id="20260301T093012-abc", published_at=PUBLISHED)


def workbook_bytes(report: PremiumReport) -> bytes:
    stream = io.BytesIO()
    write_workbook(report, stream)
    return stream.getvalue()


def opened(report: PremiumReport) -> openpyxl.Workbook:
    return openpyxl.load_workbook(io.BytesIO(workbook_bytes(report)))


def table_of(report: PremiumReport) -> list[dict[str, Any]]:
    heading, *rows = opened(report)[TABLE].iter_rows(values_only=True)
    return [dict(zip(heading, row, strict=True)) for row in rows]


def texts_of(sheet: Any) -> list[str]:
    return [value for row in sheet.iter_rows(values_only=True) for value in row if isinstance(value, str)]


def parsed(connection: duckdb.DuckDBPyConnection, filters: Filters | None = None) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(write_csv(connection, filters or Filters())).decode())))


# -- figures -----------------------------------------------------------------------------------------------------------


def test_there_is_a_row_for_each_agency_and_line_and_a_total_at_each_level(book: duckdb.DuckDBPyConnection):
    report = report_of(book)

    assert report.frame[["agency_id", "prod_line", "written_premium"]].to_numpy().tolist() == [
        [1, "CL", 300.3],
        [1, "PL", -0.3],
        [2, "CL", 1000.0],
    ]
    assert report.agencies["written_premium"].to_list() == [300.0, 1000.0]
    assert report.product_lines["written_premium"].to_list() == [1300.3, -0.3]
    assert report.total["written_premium"].to_list() == [1300.0]
    assert report.total["loss_ratio"].to_list() == [100 / 1300]


def test_policies_are_those_of_the_last_complete_year_of_each_agency_and_not_a_sum_over_years(
    book: duckdb.DuckDBPyConnection,
):
    report = report_of(book)

    assert report.policies_years == (2010, 2011)
    assert report.frame["policies_at_end"].to_list() == [5, 0, 3]
    assert report.total["policies_at_end"].to_list() == [8]
    assert report_of(book, year_to=2010).total["policies_at_end"].to_list() == [12]


DOUBTFUL_ROWS = {
    "first_january_row": {"agency_id": 1, "year": 2016, "months": 1},
    "first_whole_row": {"agency_id": 1, "year": 2016, "months": 12},
    "mistyped_2041": {"agency_id": 1, "year": 2041},
    "mistyped_2025": {"agency_id": 1, "year": 2025},
    "mistyped_1905": {"agency_id": 1, "year": 1905},
    "new_agency_in_a_mistyped_year": {"agency_id": 4, "year": 2061},
}


def agencies_with(*doubtful: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    whole = [{"agency_id": agency, "year": year} for agency in (1, 2, 3) for year in range(2012, 2016)]
    return marts_of({"policies_in_force": 10, "written_premium": 1000} | row for row in [*whole, *doubtful])


@pytest.mark.parametrize("name", DOUBTFUL_ROWS)
def test_one_row_of_an_incomplete_year_leaves_the_policies_of_every_agency(name: str):
    report = report_of(agencies_with(DOUBTFUL_ROWS[name]))

    policies = dict(zip(report.agencies["agency_id"], report.agencies["policies_at_end"], strict=True))
    assert [policies[agency] for agency in (1, 2, 3)] == [10, 10, 10]
    assert [row["policies_at_end"] for row in parsed(agencies_with(DOUBTFUL_ROWS[name]))][:3] == ["10"] * 3
    assert any(str(DOUBTFUL_ROWS[name]["year"]) in text for text in texts_of(opened(report)[COVER]))


def test_a_year_that_every_agency_has_in_whole_is_the_last_one():
    delivered = [{"agency_id": agency, "year": 2016, "policies_in_force": 7} for agency in (1, 2, 3)]

    report = report_of(agencies_with(*delivered))

    assert report.policies_years == (2016,)
    assert report.agencies["policies_at_end"].to_list() == [7, 7, 7]
    assert report.short_years.empty


def test_an_agency_that_is_behind_in_a_complete_year_keeps_its_policies_of_the_year_before():
    delivered = [{"agency_id": agency, "year": 2016, "policies_in_force": 7} for agency in (2, 3)]

    report = report_of(agencies_with(*delivered, {"agency_id": 1, "year": 2016, "months": 1, "policies_in_force": 1}))

    assert report.policies_years == (2015, 2016)
    assert report.agencies["policies_at_end"].to_list() == [10, 7, 7]


def test_an_agency_that_ended_within_a_complete_year_has_no_policies():
    delivered = [{"agency_id": agency, "year": 2016, "policies_in_force": 7} for agency in (2, 3)]

    report = report_of(agencies_with(*delivered, {"agency_id": 1, "year": 2016, "months": 1, "policies_in_force": 0}))

    assert report.agencies["policies_at_end"].to_list() == [0, 7, 7]


def test_without_a_complete_year_the_policies_are_unknown_and_not_those_of_some_months():
    report = report_of(marts_of([{"year": 2015, "months": 5, "policies_in_force": 4}]))

    assert report.total["policies_at_end"].isna().all()
    assert report_of(
        marts_of([{"year": 2015, "months": 5, "policies_in_force": 4}]), year_from=2015, year_to=2015
    ).total["policies_at_end"].to_list() == [4]


def test_filters_apply_to_every_figure(book: duckdb.DuckDBPyConnection):
    report = report_of(book, agency=[1], prod_line=["CL"], year_from=2011)

    assert report.frame["written_premium"].to_list() == report.total["written_premium"].to_list() == [200.2]
    assert report.years["year"].to_list() == [2011]


@pytest.mark.parametrize(
    ("years", "words"),
    [
        ((2010, 2012), "2010 to 2012"),
        ((2010, 2010), "2010"),
        ((2010, None), "from 2010 on"),
        ((None, None), "all years"),
    ],
)
def test_the_years_are_stated_in_words(years: tuple[int | None, int | None], words: str):
    assert period(Filters(year_from=years[0], year_to=years[1])) == words


# -- workbook ----------------------------------------------------------------------------------------------------------


def test_each_agency_has_a_subtotal_and_the_last_row_is_the_grand_total(book: duckdb.DuckDBPyConnection):
    rows = table_of(report_of(book))

    labels = [(row["Agency"], row["Product line"], row["Written premium, USD"]) for row in rows]
    assert labels == [
        (1, "CL", 300.3),
        (1, "PL", -0.3),
        (1, ALL_LINES, 300.0),
        (2, "CL", 1000.0),
        (2, ALL_LINES, 1000.0),
        ("All agencies", ALL_LINES, 1300.0),
    ]


@settings(max_examples=15, deadline=None)
@given(rows=ROWS)
def test_lines_subtotals_and_total_agree_to_the_cent(rows: list[dict[str, Any]]):
    lines: dict[str, Decimal] = dict.fromkeys(("line", "agency", "all"), Decimal(0))
    for row in table_of(report_of(marts_of(rows))):
        level = "all" if row["Agency"] == "All agencies" else "agency" if row["Product line"] == ALL_LINES else "line"
        lines[level] += Decimal(repr(row["Incurred losses, USD"] or 0.0))

    exact = sum((row["incurred_losses"] or Decimal(0) for row in rows), Decimal(0))
    assert set(lines.values()) == {exact}


def test_numbers_are_written_as_values_with_formats(book: duckdb.DuckDBPyConnection):
    workbook = opened(report_of(book))

    kinds = {cell.data_type for sheet in workbook for row in sheet.iter_rows() for cell in row}
    assert kinds == {"n", "s"}
    heading, first = (list(row) for row in workbook[TABLE].iter_rows(max_row=2))
    formats = {name.value: cell.number_format for name, cell in zip(heading, first, strict=True)}
    assert formats["Written premium, USD"] == "#,##0.00"
    assert formats["Loss ratio"] == "0.0%"
    assert formats["Policies in force"] == "#,##0"


def test_an_unknown_figure_is_an_empty_cell(book: duckdb.DuckDBPyConnection):
    rows = {(row["Agency"], row["Product line"]): row for row in table_of(report_of(book))}

    assert rows[2, "CL"]["Premium the year before, USD"] is None
    assert rows[2, "CL"]["Growth"] is None
    assert rows[1, "CL"]["Premium the year before, USD"] == 0


def test_growth_can_be_recomputed_from_the_figures_beside_it():
    book = [
        {"year": 2013, "written_premium": 230_768, "prev_written_premium": 250_000},
        {"year": 2014, "written_premium": Decimal("238949.25"), "prev_written_premium": Decimal("230768.10")},
        {"year": 2014, "state_abbr": "IN", "written_premium": 900, "prev_written_premium": None},
        {"year": 2015, "months": 5, "written_premium": 99_000, "prev_written_premium": 239_849},
    ]
    for row in table_of(report_of(marts_of(book))):
        assert (row["Growth from, USD"], row["Growth to, USD"]) == (230_768.10, 238_949.25)
        assert row["Growth"] == pytest.approx(row["Growth to, USD"] / row["Growth from, USD"] - 1)
    (header, line) = b"".join(write_csv(marts_of(book), Filters())).decode().splitlines()
    cells = dict(zip(header.split(","), line.split(","), strict=True))
    assert (cells["growth_from"], cells["growth_to"]) == ("230768.10", "238949.25")


def test_the_table_can_be_filtered_scrolled_and_printed(book: duckdb.DuckDBPyConnection):
    sheet = opened(report_of(book))[TABLE]

    assert sheet.freeze_panes == "D2"
    assert sheet.auto_filter.ref == "A1:O6"  # without the grand total in row 7
    assert sheet.print_title_rows == "$1:$1"
    assert (sheet.page_setup.orientation, sheet.page_setup.fitToHeight) == ("landscape", 0)
    assert sheet.sheet_properties.pageSetUpPr.fitToPage
    assert [sheet.row_dimensions[row].outlineLevel for row in range(2, 8)] == [1, 1, 0, 1, 0, 0]


def test_columns_are_wide_enough_for_their_figures():
    marts = marts_of([{"written_premium": Decimal("-1234567890.25")}])
    sheet = opened(report_of(marts))[TABLE]

    for row in sheet.iter_rows(min_row=2):
        for cell in row:
            shown = f"{cell.value:,.2f}" if isinstance(cell.value, float) else str(cell.value or "")
            assert len(shown) < sheet.column_dimensions[cell.column_letter].width


def test_the_cover_states_the_filters_and_the_source(book: duckdb.DuckDBPyConnection):
    texts = texts_of(opened(report_of(book, year_to=2011, agency=[1, 2], vendor=["unknown", "A"]))[COVER])

    for text in ("up to 2011", "Only agency", "1, 2", "unknown, A", "20260301T093012-abc", "2026-03-01 09:30 UTC"):
        assert text in texts
    assert "2 agencies wrote 1,300.00 USD, up to 2011, at a loss ratio of 7.7%." in texts


def test_a_long_filter_is_cut_on_the_cover(book: duckdb.DuckDBPyConnection):
    texts = texts_of(opened(report_of(book, agency=range(200)))[COVER])

    assert any(text.endswith("18, 19 and 180 more") for text in texts)


def test_the_charts_take_their_values_from_the_sheet(book: duckdb.DuckDBPyConnection):
    sheet = opened(report_of(book))[CHARTS]

    by_year, largest = sheet._charts
    assert [series.val.numRef.f for series in by_year.series] == ["'Charts'!$B$3:$B$4", "'Charts'!$C$3:$C$4"]
    assert [[cell.value for cell in row] for row in sheet["A2:C4"]] == [
        ["Year", "CL", "PL"],
        ["2010", 1100.1, None],
        ["2011", 200.2, -0.3],
    ]
    (reference,) = {series.cat.strRef.f if series.cat.strRef else series.cat.numRef.f for series in largest.series}
    first, last = reference.split("!")[1].replace("$", "").split(":")
    assert [row[0].value for row in sheet[first:last]] == ["2", "1"]


def test_the_notes_explain_what_is_missing(book: duckdb.DuckDBPyConnection):
    rows = [row[:5] for row in opened(report_of(book))[NOTES].iter_rows(values_only=True)]

    assert ("CL, commercial lines", "Premium the year before, USD", "not_reported", 1, 3) in rows
    texts = texts_of(opened(report_of(book))[NOTES])
    assert "The source wrote its sentinel without a reason." in texts
    assert "The data covers all twelve months of every year." in texts


def test_the_notes_state_that_nothing_is_missing(book: duckdb.DuckDBPyConnection):
    assert "Every row has all its figures." in texts_of(opened(report_of(book, agency=[1]))[NOTES])


def test_short_years_are_on_cover_chart_and_notes():
    workbook = opened(report_of(marts_of([{"year": 2010}, {"year": 2011, "months": 5}])))

    assert "2011 (5 months)" in texts_of(workbook[COVER])
    assert "2011 (5 months)" in texts_of(workbook[CHARTS])
    assert (2011, 5) in [row[:2] for row in workbook[NOTES].iter_rows(values_only=True)]
    assert "2010" in texts_of(workbook[CHARTS])


def test_a_report_without_rows_says_so_and_has_no_chart(book: duckdb.DuckDBPyConnection):
    workbook = opened(report_of(book, state=["ZZ"], year_to=2010))

    assert "No written premium is known for up to 2010 with these filters." in texts_of(workbook[COVER])
    assert workbook[CHARTS]._charts == []
    assert workbook[TABLE].max_row == 2


def test_the_same_report_gives_the_same_bytes_at_any_time(
    book: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
):
    report = report_of(book)
    first = workbook_bytes(report)
    later = time.time() + 90_000
    monkeypatch.setattr(time, "time", lambda: later)

    assert workbook_bytes(report) == first
    assert workbook_bytes(report_of(book, agency=[1])) != first


def test_a_report_above_the_limit_names_the_other_format(
    book: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    report = report_of(book)
    monkeypatch.setattr(workbook_module, "WORKBOOK_ROWS", len(report.frame) - 1)

    with pytest.raises(ReportTooLargeError, match=r"3 rows.*format=csv"):
        write_workbook(report, tmp_path / "report.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_a_report_at_the_limit_is_written(book: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch):
    report = report_of(book)
    monkeypatch.setattr(workbook_module, "WORKBOOK_ROWS", len(report.frame))

    assert workbook_bytes(report).startswith(b"PK")


# -- texts -------------------------------------------------------------------------------------------------------------


def test_no_text_of_data_or_filters_becomes_a_formula():
    marts = marts_of([{"prod_line": "=1+1", "prod_abbr": "-BOP"}, {"prod_line": "-2", "written_premium": -5}])
    report = report_of(marts, prod_line=["=1+1", "-2", "@x"], product=["-BOP", "BOP"])

    workbook = opened(report)

    cells = [cell for sheet in workbook for row in sheet.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} == {"n", "s"}
    assert [
        cell.value for cell in cells if str(cell.value).startswith(("=", "+", "-", "@")) and cell.data_type == "s"
    ] == []
    assert "'=1+1" in texts_of(workbook[TABLE])
    assert "'=1+1, -2, @x" in texts_of(workbook[COVER])
    assert {(row["prod_line"], row["written_premium"]) for row in parsed(marts)} == {
        ("'=1+1", "0.00"),
        ("'-2", "-5.00"),
    }


# -- CSV ---------------------------------------------------------------------------------------------------------------


def test_csv_has_the_rows_without_totals(book: duckdb.DuckDBPyConnection):
    rows = parsed(book)

    assert [(row["agency_id"], row["prod_line"], row["written_premium"], row["policies_at_end"]) for row in rows] == [
        ("1", "CL", "300.30", "5"),
        ("1", "PL", "-0.30", "0"),
        ("2", "CL", "1000.00", "3"),
    ]
    assert rows[2]["missing"] == "prev_written_premium: not_reported (1)"
    assert rows[2]["primary_agency_id"] == ""


@settings(max_examples=25, deadline=None)
@given(rows=ROWS)
def test_csv_adds_up_to_the_last_decimal(rows: list[dict[str, Any]]):
    written = sum((Decimal(row["earned_premium"] or 0) for row in parsed(marts_of(rows))), Decimal(0))

    assert written == sum((row["earned_premium"] or Decimal(0) for row in rows), Decimal(0))


def test_csv_comes_in_chunks_of_whole_lines(book: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch):
    whole = b"".join(write_csv(book, Filters()))
    monkeypatch.setattr(report_module, "_CSV_PAGE_ROWS", 2)

    chunks = write_csv(book, Filters())

    assert isinstance(chunks, Iterator)
    written = list(chunks)
    assert [chunk.count(b"\n") for chunk in written] == [1, 2, 1]
    assert all(chunk.endswith(b"\n") for chunk in written)
    assert b"".join(written) == whole


def test_csv_without_rows_is_its_header(book: duckdb.DuckDBPyConnection):
    text = b"".join(write_csv(book, Filters(state=["ZZ"])))

    assert text.startswith(b"agency_id,primary_agency_id,prod_line,written_premium,")
    assert text.count(b"\n") == 1


# -- files -------------------------------------------------------------------------------------------------------------


def written_to(folder: Path, book: duckdb.DuckDBPyConnection, **years: int) -> tuple[Path, ...]:
    return write_premium_report(book, folder, snapshot_id="s", published_at=PUBLISHED, **years)


def test_files_are_named_by_their_years_and_replaced_by_the_next_report(
    book: duckdb.DuckDBPyConnection, tmp_path: Path
):
    folder = tmp_path / "reports"

    paths = written_to(folder, book, year_from=2010, year_to=2011)

    assert paths == (folder / "premium_2010_to_2011.xlsx", folder / "premium_2010_to_2011.csv")
    assert written_to(folder, book, year_from=2010, year_to=2011) == paths
    assert sorted(folder.iterdir()) == sorted(paths)
    assert written_to(folder, book)[1].name == "premium_all_years.csv"


def test_a_report_too_large_for_a_workbook_is_written_as_csv_alone(
    book: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(workbook_module, "WORKBOOK_ROWS", 1)

    assert [path.suffix for path in written_to(tmp_path, book)] == [".csv"]


def test_a_failure_while_writing_leaves_the_earlier_file(
    book: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    before = {path: path.read_bytes() for path in written_to(tmp_path, book)}

    def fail(_: Any, file: Any) -> None:
        file.write(b"half a")
        raise OSError("disk full")

    monkeypatch.setattr(workbook_module, "write_workbook", fail)

    with pytest.raises(OSError, match="disk full"):
        written_to(tmp_path, book)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_reversed_years_write_nothing(book: duckdb.DuckDBPyConnection, tmp_path: Path):
    with pytest.raises(QueryError, match="swap"):
        written_to(tmp_path, book, year_from=2012, year_to=2010)
    assert list(tmp_path.iterdir()) == []
