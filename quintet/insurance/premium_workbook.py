"""The premium report as a workbook: cover, table with subtotals, charts and notes; and the files that a run writes."""

from __future__ import annotations

import datetime as dt
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import duckdb
import openpyxl
import pandas as pd
from openpyxl.utils import get_column_letter
from openpyxl.writer.excel import ExcelWriter

from quintet.insurance.normalise import REASONS
from quintet.insurance.performance import UNKNOWN, Filters
from quintet.insurance.premium_report import (
    FIGURES,
    KEY,
    SHORT_YEAR,
    TITLE,
    WORKBOOK_ROWS,
    PremiumReport,
    period,
    premium_report,
    records_of,
    write_csv,
)
from quintet.insurance.workbook_sheets import (
    BODY,
    CHART_ROWS,
    HEADING,
    HEADING_HEIGHT,
    HEADLINE,
    LABEL,
    LEAD,
    PLAIN,
    SECTION,
    SUBTOTAL,
    TOTAL,
    Sheet,
    Style,
    UndatedZip,
    bar_chart,
)
from quintet.insurance.years import INCOMPLETE, year_in_words
from quintet.presentation.wording import counted

ALL_LINES = "All lines"
"""The label of the product line in a subtotal."""
COVER, TABLE, CHARTS, NOTES = "Cover", "Agency x product line", "Charts", "Notes"
"""The sheets of the workbook."""
PRODUCT_LINES: Mapping[str, str] = MappingProxyType({"CL": "commercial lines", "PL": "personal lines"})
_HEADINGS = MappingProxyType(
    {
        "agency_id": "Agency",
        "primary_agency_id": "Master agency",
        "prod_line": "Product line",
        "written_premium": "Written premium, USD",
        "new_business_premium": "New business, USD",
        "prev_written_premium": "Premium the year before, USD",
        "growth_from": "Growth from, USD",
        "growth_to": "Growth to, USD",
        "growth_rate": "Growth",
        "earned_premium": "Earned premium, USD",
        "incurred_losses": "Incurred losses, USD",
        "loss_ratio": "Loss ratio",
        "retention_ratio": "Retention",
        "policies_at_end": "Policies in force",
        "policies_in_force": "Policies in force",
        "prev_policies_in_force": "Policies the year before",
        "retained_policies": "Retained policies",
        "rows": "Rows of data",
    }
)
_TOP_AGENCIES = 15
_VALUES_SHOWN = 20


class ReportTooLargeError(ValueError):
    """The report has more rows than fit in a workbook; the text names the alternative."""


def write_workbook(report: PremiumReport, target: Path | IO[bytes]) -> None:
    """Write the report as `xlsx`: cover, table with subtotals and total, charts, notes.

    The same report gives the same bytes. Raises ReportTooLargeError, before anything is written, above WORKBOOK_ROWS.
    """
    if len(report.frame) > WORKBOOK_ROWS:
        raise ReportTooLargeError(
            f"the report has {len(report.frame):,} rows, the limit of a workbook is {WORKBOOK_ROWS:,}; "
            "use format=csv, or fewer agencies or years"
        )
    workbook = openpyxl.Workbook(write_only=True)
    workbook.properties.creator, workbook.properties.title = "Quintet", TITLE
    workbook.properties.created = workbook.properties.modified = report.published_at.replace(microsecond=0)
    _write_cover(workbook, report)
    _write_table(workbook, report)
    _write_charts(workbook, report)
    _write_notes(workbook, report)
    ExcelWriter(workbook, UndatedZip(target, "w", zipfile.ZIP_DEFLATED)).save()


def write_premium_report(
    cursor: duckdb.DuckDBPyConnection,
    folder: Path,
    *,
    snapshot_id: str,
    published_at: dt.datetime,
    year_from: int | None = None,
    year_to: int | None = None,
) -> tuple[Path, ...]:
    """Write the report on all agencies to `folder` as `xlsx` and `csv`, each atomically; return the paths.

    The file names contain the years, so that a later report on the same years replaces the earlier one. Above
    WORKBOOK_ROWS there is no workbook. Raises QueryError for invalid years.
    """
    filters = Filters(year_from=year_from, year_to=year_to)
    report = premium_report(cursor, filters, snapshot_id=snapshot_id, published_at=published_at)
    stem = f"premium_{period(filters).replace(' ', '_')}"
    folder.mkdir(parents=True, exist_ok=True)
    written = [_write_whole(folder / f"{stem}.csv", lambda file: file.writelines(write_csv(cursor, filters)))]
    if len(report.frame) <= WORKBOOK_ROWS:
        written.insert(0, _write_whole(folder / f"{stem}.xlsx", lambda file: write_workbook(report, file)))
    return tuple(written)


_NO_ROWS = "The report has no rows."


def _row(names: Sequence[str], values: Sequence[Any], style: Style) -> list[tuple[Any, str, Style]]:
    return [(value, _kind(name), style) for name, value in zip(names, values, strict=True)]


def _headings(names: Sequence[str]) -> list[tuple[Any, str, Style]]:
    return [(_HEADINGS[name], _kind(name), HEADING) for name in names]


def _kind(name: str) -> str:
    if name in FIGURES:
        return FIGURES[name]
    if name in {"rows", "missing_rows", "months_covered"}:
        return "count"
    return "identifier" if name in {"agency_id", "primary_agency_id", "year"} else "text"


def _foot(report: PremiumReport) -> str:
    return f"{TITLE}, {period(report.filters)}; snapshot {report.snapshot_id}".replace("&", "&&")


def _write_cover(workbook: openpyxl.Workbook, report: PremiumReport) -> None:
    names = ("prod_line", *FIGURES)
    sheet = Sheet(workbook, COVER, [2, 24, *_widths(FIGURES)], _foot(report))

    def line(*cells: tuple[Any, str, Style], height: float | None = None) -> None:
        sheet.append([(None, "text", PLAIN), *cells], height)

    line()
    line((TITLE, "text", HEADLINE), height=30)
    line((_lead(report), "text", LEAD), height=20)
    line()
    line(("What was asked", "text", SECTION), height=20)
    for label, value in _parameters(report):
        line((label, "text", LABEL), (value, "text", BODY), *[(None, "text", BODY)] * 4)
    line()
    line(("Totals", "text", SECTION), height=20)
    line(*_headings(names), height=HEADING_HEIGHT)
    for values in records_of(report.product_lines, names):
        line(*_row(names, (_line_in_words(values[0]), *values[1:]), BODY))
    for values in records_of(report.total, tuple(FIGURES)):
        line(*_row(names, (ALL_LINES, *values), TOTAL))
    line()
    line(("How to read this", "text", SECTION), height=20)
    for text in _reading(report):
        line((text, "text", PLAIN))


def _lead(report: PremiumReport) -> str:
    total = report.total.iloc[0]
    if pd.isna(total["written_premium"]):
        return f"No written premium is known for {period(report.filters)} with these filters."
    ratio = "" if pd.isna(total["loss_ratio"]) else f", at a loss ratio of {total['loss_ratio']:.1%}"
    agencies = len(report.agencies)
    return f"{counted(agencies, 'agency')} wrote {total['written_premium']:,.2f} USD, {period(report.filters)}{ratio}."


def _parameters(report: PremiumReport) -> list[tuple[str, str]]:
    lists = {name: values for name, values in report.filters.given().items() if isinstance(values, tuple)}
    short = ", ".join(year_in_words(*year) for year in records_of(report.short_years, SHORT_YEAR))
    return [
        ("Years", period(report.filters)),
        *((f"Only {name.replace('_', ' ')}", _listed(values)) for name, values in lists.items()),
        *([] if lists else [("Filters", "none: all agencies, products and states")]),
        ("Incomplete years", short or "none"),
        ("Rows of data", f"{report.total['rows'].iloc[0]:,}"),
        ("Snapshot", report.snapshot_id),
        ("Published", f"{report.published_at:%Y-%m-%d %H:%M} UTC"),
    ]


def _listed(values: Sequence[Any]) -> str:
    shown = ", ".join(UNKNOWN if value is None else str(value) for value in values[:_VALUES_SHOWN])
    return shown if len(values) <= _VALUES_SHOWN else f"{shown} and {len(values) - _VALUES_SHOWN} more"


def _reading(report: PremiumReport) -> list[str]:
    years = " and ".join(map(str, report.policies_years))
    end = f" ({years})" if years else ", and there is none"
    return [
        "Every figure is summed from the rows of the data, and every ratio is recomputed from such sums.",
        "A ratio uses the rows where both of its parts are known: its parts can differ from the sums beside it.",
        "Loss ratio: incurred losses by written premium. Retention: retained policies by those of the year before.",
        "Retention exceeds 100% where the source reports more retained policies than there were.",
        f"Growth is that of the last complete year{end}: from the reported premium of the year before to its own, both "
        "over the rows that know both.",
        f"Policies in force are those of the last complete year{end}: they are a stock and do not add up over years.",
        "An empty cell is unknown or undefined, never zero. The sheet Notes lists missing values and their reasons.",
        f"The sheet {TABLE} can be filtered: product line {ALL_LINES} gives one row per agency.",
        "A text that looks like a formula has a leading apostrophe.",
    ]


def _line_in_words(prod_line: str) -> str:
    words = PRODUCT_LINES.get(prod_line)
    return f"{prod_line}, {words}" if words else prod_line


def _write_table(workbook: openpyxl.Workbook, report: PremiumReport) -> None:
    names = (*KEY, *FIGURES, "rows")
    sheet = Sheet(workbook, TABLE, [15, 11, 13, *_widths(FIGURES), 10], _foot(report))
    sheet.sheet.freeze_panes = "D2"
    sheet.sheet.print_title_rows = "1:1"
    agencies = records_of(report.agencies, (*KEY[:2], *FIGURES, "rows"))
    last = 1 + len(report.frame) + len(agencies)
    sheet.sheet.auto_filter.ref = f"A1:{get_column_letter(len(names))}{last}"
    sheet.append(_headings(names), HEADING_HEIGHT)
    lines = records_of(report.frame, names)
    place = 0
    for agency in agencies:
        while place < len(lines) and lines[place][0] == agency[0]:
            sheet.sheet.row_dimensions[sheet.rows + 1].outlineLevel = 1
            sheet.append(_row(names, lines[place], BODY))
            place += 1
        sheet.append(_row(names, (*agency[:2], ALL_LINES, *agency[2:]), SUBTOTAL))
    for total in records_of(report.total, (*FIGURES, "rows")):
        sheet.append(_row(names, ("All agencies", None, ALL_LINES, *total), TOTAL))


def _write_charts(workbook: openpyxl.Workbook, report: PremiumReport) -> None:
    sheet = Sheet(workbook, CHARTS, [19, *[18] * report.product_lines["prod_line"].nunique(), 4], _foot(report))
    by_year = report.years.pivot(index=["year", "label"], columns="prod_line", values="written_premium")
    by_year = by_year.reset_index("year", drop=True)
    top = report.agencies.nlargest(_TOP_AGENCIES, "written_premium", keep="first")["agency_id"]
    by_agency = report.frame[report.frame["agency_id"].isin(top)].pivot(
        index="agency_id", columns="prod_line", values="written_premium"
    )
    by_agency = by_agency.loc[list(top)]
    for title, heading, table, is_ranking in (
        ("Written premium by year and product line, USD", "Year", by_year, False),
        (f"Written premium of the {_TOP_AGENCIES} largest agencies, USD", "Agency", by_agency, True),
    ):
        sheet.append([(title, "text", SECTION)], 20)
        first = sheet.append([(heading, "text", HEADING), *((line, "money", HEADING) for line in table.columns)])
        values = records_of(table, list(table.columns))
        for label, amounts in zip(table.index, values, strict=True):
            sheet.append([(str(label), "text", BODY), *((amount, "money", BODY) for amount in amounts)])
        if values:
            chart = bar_chart(sheet.sheet, title, first, len(values), len(table.columns), is_ranking=is_ranking)
            sheet.sheet.add_chart(chart, f"{get_column_letter(len(table.columns) + 3)}{first - 1}")
        for _ in range(max(CHART_ROWS - len(values) - 2, 1)):
            sheet.append()


def _write_notes(workbook: openpyxl.Workbook, report: PremiumReport) -> None:
    sheet = Sheet(workbook, NOTES, [26, 32, 30, 18, 14, 60], _foot(report))
    sheet.append([("Missing values and their reasons", "text", SECTION)], 20)
    has_rows = bool(report.total["rows"].iloc[0])
    if report.missing.empty:
        text = "Every row has all its figures." if has_rows else _NO_ROWS
        sheet.append([(text, "text", PLAIN)])
    else:
        headings = ("Product line", "Figure", "Reason", "Rows without it", "Rows in all", "What that means")
        kinds = ("text", "text", "text", "count", "count", "text")
        sheet.append([(text, kind, HEADING) for text, kind in zip(headings, kinds, strict=True)], HEADING_HEIGHT)
        for line, measure, reason, missing_rows, rows in records_of(report.missing, list(report.missing.columns)):
            values = (_line_in_words(line), _HEADINGS[measure], reason, missing_rows, rows, REASONS.get(reason))
            sheet.append([(value, kind, BODY) for value, kind in zip(values, kinds, strict=True)])
        sheet.append([("Sums exclude these rows for the missing figure.", "text", PLAIN)])
    sheet.append()
    sheet.append([("Incomplete years", "text", SECTION)], 20)
    if report.short_years.empty:
        text = "The data covers all twelve months of every year." if has_rows else _NO_ROWS
        sheet.append([(text, "text", PLAIN)])
        return
    of_years = (("Year", "identifier"), ("Months covered", "count"), ("Why it is not complete", "text"))
    sheet.append([(text, kind, HEADING) for text, kind in of_years])
    for year, months, reason in records_of(report.short_years, SHORT_YEAR):
        sheet.append([(year, "identifier", BODY), (months, "count", BODY), (INCOMPLETE[reason], "text", BODY)])
    sheet.append(
        [("Premium and losses include these years as far as they go; policies in force do not.", "text", PLAIN)]
    )


def _widths(names: Iterable[str]) -> list[float]:
    return [{"money": 18.0, "percent": 12.0, "count": 13.0}[FIGURES[name]] for name in names]


def _write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> Path:
    """Write a file atomically: a reader finds the old or the new one."""
    unfinished = path.with_name(f".{path.name}.tmp")
    try:
        with unfinished.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        return unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
