"""The premium report: "Premium Info by Agency and Product Line" over a range of years, as workbook and as CSV.

A workbook is for people and documents its sources; its bytes depend on the data alone. CSV is for other programs: rows
without totals, so that a column can be summed. In both, numbers are numbers, and `as_text` escapes formulas in texts.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import duckdb
import openpyxl
import pandas as pd
from openpyxl.cell import WriteOnlyCell
from openpyxl.chart import BarChart, Reference
from openpyxl.chart.shapes import GraphicalProperties
from openpyxl.chart.text import RichText
from openpyxl.drawing.line import LineProperties
from openpyxl.drawing.text import CharacterProperties, Paragraph, ParagraphProperties
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.page import PageMargins
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet
from openpyxl.writer.excel import ExcelWriter

from quintet.insurance.normalise import REASONS
from quintet.insurance.performance import PIVOTS, UNKNOWN, Filters, Key, summary_frame, summary_page
from quintet.presentation.design import CATEGORY, COLOURS, as_text

TITLE = "Premium Info by Agency and Product Line"

WORKBOOK_ROWS = 10_000
"""The largest number of rows of a workbook; a larger report is available as CSV."""

ALL_LINES = "All lines"
"""The label of the product line in a subtotal."""

COVER, TABLE, CHARTS, NOTES = "Cover", "Agency x product line", "Charts", "Notes"
"""The sheets of the workbook."""

PRODUCT_LINES: Mapping[str, str] = MappingProxyType({"CL": "commercial lines", "PL": "personal lines"})

KEY = ("agency_id", "primary_agency_id", "prod_line")
FIGURES: Mapping[str, str] = MappingProxyType(
    {
        "written_premium": "money",
        "new_business_premium": "money",
        "prev_written_premium": "money",
        "growth_rate": "percent",
        "earned_premium": "money",
        "incurred_losses": "money",
        "loss_ratio": "percent",
        "retention_ratio": "percent",
        "policies_at_end": "count",
    }
)
"""The report's figures. policies_at_end: policies in force in the last year with data."""

_HEADINGS = MappingProxyType(
    {
        "agency_id": "Agency",
        "primary_agency_id": "Master agency",
        "prod_line": "Product line",
        "written_premium": "Written premium, USD",
        "new_business_premium": "New business, USD",
        "prev_written_premium": "Premium the year before, USD",
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
_SHORT_YEAR = ("year", "months_covered")
_TOP_AGENCIES = 15
_VALUES_SHOWN = 20
_CSV_PAGE_ROWS = 1_000


class ReportTooLargeError(ValueError):
    """The report has more rows than fit in a workbook; the text names the alternative."""


@dataclass(frozen=True)
class PremiumReport:
    """The figures of a report. Amounts are USD.

    frame: one row per agency and product line, ordered by both: `KEY`, `FIGURES`, rows (of the data behind it).
    agencies, product_lines, total: the same per agency, per product line and in total, each summed from the data.
    years: year, label, prod_line, written_premium. last_year: the year of policies_at_end; None without data.
    missing: prod_line, measure, reason, missing_rows, rows: missing values, their reason and number of rows.
    short_years: year, months_covered of years that the data covers in part.
    snapshot_id, published_at (UTC without zone): the source of the figures.
    """

    filters: Filters
    snapshot_id: str
    published_at: dt.datetime
    frame: pd.DataFrame
    agencies: pd.DataFrame
    product_lines: pd.DataFrame
    total: pd.DataFrame
    years: pd.DataFrame
    last_year: int | None
    missing: pd.DataFrame
    short_years: pd.DataFrame


def premium_report(
    cursor: duckdb.DuckDBPyConnection, filters: Filters, *, snapshot_id: str, published_at: dt.datetime
) -> PremiumReport:
    """Return the report on the rows that match the filters."""
    years = summary_frame(cursor, filters, ("year", "prod_line"))
    last_year = _last_year(years)
    product_lines = _figures(cursor, filters, last_year, ("prod_line",))
    total = _figures(cursor, filters, last_year, ())
    short_years = pd.DataFrame(total["short_years"].iloc[0], columns=_SHORT_YEAR)
    labels = {year: f"{year} ({months} months)" for year, months in _records(short_years, _SHORT_YEAR)}
    kept = [*FIGURES, "rows"]
    return PremiumReport(
        filters=filters,
        snapshot_id=snapshot_id,
        published_at=published_at,
        frame=_figures(cursor, filters, last_year, ("agency", "primary_agency", "prod_line"))[[*KEY, *kept]],
        agencies=_figures(cursor, filters, last_year, ("agency", "primary_agency"))[[*KEY[:2], *kept]],
        product_lines=product_lines[["prod_line", *kept]],
        total=total[kept],
        years=years.assign(label=years["year"].map(lambda year: labels.get(year, str(year))))[
            ["year", "label", "prod_line", "written_premium"]
        ],
        last_year=last_year,
        missing=_missing(product_lines),
        short_years=short_years,
    )


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
    ExcelWriter(workbook, _UndatedZip(target, "w", zipfile.ZIP_DEFLATED)).save()


def write_csv(cursor: duckdb.DuckDBPyConnection, filters: Filters) -> Iterator[bytes]:
    """Yield the report's rows as CSV, UTF-8 with a header, in chunks of up to 1,000 rows, without totals.

    Columns: `KEY`, `FIGURES`, rows, missing (measure, reason and rows of missing values). Amounts have two decimals, or
    four where the data has them; null is an empty cell. The cursor is in use until the last chunk is read.
    """
    last_year = _last_year(summary_frame(cursor, filters, ("year",)))
    policies = _policies_at_end(cursor, filters, last_year, ("agency", "prod_line"))
    at_end = dict(zip(zip(policies["agency_id"], policies["prod_line"], strict=True), policies[_AT_END], strict=True))
    yield _csv_lines([[*KEY, *FIGURES, "rows", "missing"]])
    after: Key | None = None
    while True:
        groups, after = summary_page(cursor, filters, ("agency", "primary_agency", "prod_line"), after, _CSV_PAGE_ROWS)
        for group in groups:
            group[_AT_END] = at_end.get((group["agency_id"], group["prod_line"]))
            group["missing"] = _in_words(group["missing"])
        yield _csv_lines([_csv_cell(group, name) for name in (*KEY, *FIGURES, "rows", "missing")] for group in groups)
        if after is None:
            return


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


def period(filters: Filters) -> str:
    """Return the years of a report in words: "2010 to 2012", "from 2010 on", "all years"."""
    first, last = filters.year_from, filters.year_to
    if first is None and last is None:
        return "all years"
    if first is None:
        return f"up to {last}"
    if last is None:
        return f"from {first} on"
    return str(first) if first == last else f"{first} to {last}"


_AT_END = "policies_at_end"


# -- figures -----------------------------------------------------------------------------------------------------------


def _last_year(by_year: pd.DataFrame) -> int | None:
    return int(by_year["year"].max()) if len(by_year) else None


def _figures(
    cursor: duckdb.DuckDBPyConnection, filters: Filters, last_year: int | None, group_by: Sequence[str]
) -> pd.DataFrame:
    sums = summary_frame(cursor, filters, group_by)
    at_end = _policies_at_end(cursor, filters, last_year, group_by)
    if not group_by:
        return sums.assign(**{_AT_END: at_end[_AT_END]})
    return sums.merge(at_end, how="left", on=list(at_end.columns.drop(_AT_END)), validate="one_to_one")


def _policies_at_end(
    cursor: duckdb.DuckDBPyConnection, filters: Filters, last_year: int | None, group_by: Sequence[str]
) -> pd.DataFrame:
    """Return the policies of the last year: policies in force are a stock, not additive over years."""
    at_end = filters if last_year is None else replace(filters, year_from=last_year, year_to=last_year)
    sums = summary_frame(cursor, at_end, group_by).rename(columns={"policies_in_force": _AT_END})
    return sums[[*(PIVOTS[pivot] for pivot in group_by), _AT_END]]


def _missing(product_lines: pd.DataFrame) -> pd.DataFrame:
    counted = [
        (line, measure, reason, missing_rows, rows)
        for line, gaps, rows in product_lines[["prod_line", "missing", "rows"]].itertuples(index=False)
        for measure, reasons in gaps.items()
        for reason, missing_rows in reasons.items()
    ]
    return pd.DataFrame(counted, columns=["prod_line", "measure", "reason", "missing_rows", "rows"])


def _records(frame: pd.DataFrame, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return the rows of the columns as Python values, None for null."""
    plain = frame[list(columns)].astype(object)
    return list(plain.where(plain.notna(), None).itertuples(index=False, name=None))


# -- CSV ---------------------------------------------------------------------------------------------------------------


def _csv_lines(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _csv_cell(group: Mapping[str, Any], name: str) -> Any:
    value = group[name]
    if isinstance(value, str):
        return as_text(value)
    if value is not None and FIGURES.get(name) == "money":
        return f"{value:.4f}".removesuffix("00")
    return value


def _in_words(missing: Mapping[str, Mapping[str, int]]) -> str:
    return "; ".join(
        f"{measure}: {reason} ({rows})" for measure, reasons in missing.items() for reason, rows in reasons.items()
    )


# -- workbook ----------------------------------------------------------------------------------------------------------


_LIGHT = {name: colour.removeprefix("#") for name, colour in COLOURS["light"].items()}
_LINE_COLOURS = tuple(colour.removeprefix("#") for colour in CATEGORY["light"])
_HAIRLINE = Border(bottom=Side(style="thin", color=_LIGHT["hairline"]))
_NUMBER_FORMATS = {"money": "#,##0.00", "percent": "0.0%", "count": "#,##0", "identifier": "0"}
_HEADING_HEIGHT = 32
_CHART_ROWS = 24
_CHART_NUMBERS = '[>=1000000]#,##0.0,,"M";[>=1000]#,##0,"k";#,##0'


@dataclass(frozen=True)
class _Style:
    """The style of a cell; numbers have the format of their kind."""

    font: Font
    fill: PatternFill | None = None
    border: Border | None = None
    wraps: bool = False


def _font(colour: str, size: float = 11, *, bold: bool = False) -> Font:
    return Font(name="Calibri", size=size, bold=bold, color=_LIGHT[colour])


def _filled(colour: str) -> PatternFill:
    return PatternFill("solid", fgColor=_LIGHT[colour])


_TITLE = _Style(_font("ink", 20, bold=True))
_LEAD = _Style(_font("ink-muted", 12))
_SECTION = _Style(_font("accent", 13, bold=True))
_LABEL = _Style(_font("ink-muted"), border=_HAIRLINE)
_BODY = _Style(_font("ink"), border=_HAIRLINE)
_PLAIN = _Style(_font("ink"))
_HEADING = _Style(_font("on-accent", bold=True), _filled("accent"), wraps=True)
_SUBTOTAL = _Style(_font("ink", bold=True), _filled("accent-soft"), _HAIRLINE)
_TOTAL = _Style(
    _font("ink", bold=True),
    _filled("accent-soft"),
    Border(top=Side(style="medium", color=_LIGHT["accent"]), bottom=Side(style="medium", color=_LIGHT["accent"])),
)
_TITLES = (_TITLE, _LEAD, _SECTION, _PLAIN)
"""Styles without an indent."""


class _Sheet:
    """A sheet that is written from top to bottom, set up for printing."""

    def __init__(self, workbook: openpyxl.Workbook, name: str, widths: Sequence[float], foot: str) -> None:
        self.sheet = workbook.create_sheet(name)
        self.rows = 0
        self._cells: dict[tuple[int, int, str], WriteOnlyCell] = {}
        for place, width in enumerate(widths, 1):
            self.sheet.column_dimensions[get_column_letter(place)].width = width
        self.sheet.sheet_view.showGridLines = False
        self.sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
        self.sheet.page_setup.orientation = "landscape"
        self.sheet.page_setup.paperSize = Worksheet.PAPERSIZE_A4
        self.sheet.page_setup.fitToHeight = 0
        self.sheet.page_margins = PageMargins(left=0.5, right=0.5, top=0.5, bottom=0.7)
        self.sheet.oddFooter.left.text, self.sheet.oddFooter.right.text = foot, "Page &P of &N"

    def append(self, cells: Iterable[tuple[Any, str, _Style]] = (), height: float | None = None) -> int:
        """Write a row of values, each with its kind (`money`, `text` …) and style; return the row's number."""
        self.rows += 1
        if height:
            self.sheet.row_dimensions[self.rows].height = height
        self.sheet.append([self._cell(place, *cell) for place, cell in enumerate(cells)])
        return self.rows

    def _cell(self, place: int, value: Any, kind: str, style: _Style) -> WriteOnlyCell | None:
        # A cell is written as soon as its row is appended, so that one cell per column and style serves all rows:
        # creating and styling a cell takes ten times as long as writing it.
        key = (place, id(style), kind)
        if key not in self._cells:
            self._cells[key] = _styled_cell(self.sheet, kind, style)
        cell = self._cells[key]
        cell.value = as_text(value) if isinstance(value, str) else value
        return cell


def _styled_cell(sheet: Any, kind: str, style: _Style) -> WriteOnlyCell:
    cell = WriteOnlyCell(sheet)
    cell.font = style.font
    if style.fill:
        cell.fill = style.fill
    if style.border:
        cell.border = style.border
    cell.number_format = _NUMBER_FORMATS.get(kind, "General")
    cell.alignment = Alignment(
        horizontal="left" if kind in {"text", "identifier"} else "right",
        vertical="center",
        indent=0 if style in _TITLES else 1,
        wrap_text=style.wraps,
    )
    return cell


def _row(names: Sequence[str], values: Sequence[Any], style: _Style) -> list[tuple[Any, str, _Style]]:
    return [(value, _kind(name), style) for name, value in zip(names, values, strict=True)]


def _headings(names: Sequence[str]) -> list[tuple[Any, str, _Style]]:
    return [(_HEADINGS[name], _kind(name), _HEADING) for name in names]


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
    sheet = _Sheet(workbook, COVER, [2, 24, *_widths(FIGURES)], _foot(report))

    def line(*cells: tuple[Any, str, _Style], height: float | None = None) -> None:
        sheet.append([(None, "text", _PLAIN), *cells], height)

    line()
    line((TITLE, "text", _TITLE), height=30)
    line((_lead(report), "text", _LEAD), height=20)
    line()
    line(("What was asked", "text", _SECTION), height=20)
    for label, value in _parameters(report):
        line((label, "text", _LABEL), (value, "text", _BODY), *[(None, "text", _BODY)] * 4)
    line()
    line(("Totals", "text", _SECTION), height=20)
    line(*_headings(names), height=_HEADING_HEIGHT)
    for values in _records(report.product_lines, names):
        line(*_row(names, (_line_in_words(values[0]), *values[1:]), _BODY))
    for values in _records(report.total, tuple(FIGURES)):
        line(*_row(names, (ALL_LINES, *values), _TOTAL))
    line()
    line(("How to read this", "text", _SECTION), height=20)
    for text in _reading(report):
        line((text, "text", _PLAIN))


def _lead(report: PremiumReport) -> str:
    total = report.total.iloc[0]
    if pd.isna(total["written_premium"]):
        return f"No written premium is known for {period(report.filters)} with these filters."
    ratio = "" if pd.isna(total["loss_ratio"]) else f", at a loss ratio of {total['loss_ratio']:.1%}"
    agencies = len(report.agencies)
    return (
        f"{agencies:,} {'agency' if agencies == 1 else 'agencies'} wrote {total['written_premium']:,.2f} USD, "
        f"{period(report.filters)}{ratio}."
    )


def _parameters(report: PremiumReport) -> list[tuple[str, str]]:
    lists = {name: values for name, values in report.filters.given().items() if isinstance(values, tuple)}
    short = ", ".join(f"{year} ({months} months)" for year, months in _records(report.short_years, _SHORT_YEAR))
    return [
        ("Years", period(report.filters)),
        *((f"Only {name.replace('_', ' ')}", _listed(values)) for name, values in lists.items()),
        *([] if lists else [("Filters", "none: all agencies, products and states")]),
        ("Short years", short or "none"),
        ("Rows of data", f"{report.total['rows'].iloc[0]:,}"),
        ("Snapshot", report.snapshot_id),
        ("Published", f"{report.published_at:%Y-%m-%d %H:%M} UTC"),
    ]


def _listed(values: Sequence[Any]) -> str:
    shown = ", ".join(UNKNOWN if value is None else str(value) for value in values[:_VALUES_SHOWN])
    return shown if len(values) <= _VALUES_SHOWN else f"{shown} and {len(values) - _VALUES_SHOWN} more"


def _reading(report: PremiumReport) -> list[str]:
    end = "the last year" if report.last_year is None else report.last_year
    return [
        "Every figure is summed from the rows of the data, and every ratio is recomputed from such sums.",
        "A ratio uses the rows where both of its parts are known: its parts can differ from the sums beside it.",
        "Loss ratio: incurred losses by written premium. Retention: retained policies by those of the year before.",
        "Retention exceeds 100% where the source reports more retained policies than there were.",
        "Growth: written premium against the reported year before; nothing is annualised.",
        f"Policies in force are those of {end}: they are a stock and do not add up over years.",
        "An empty cell is unknown or undefined, never zero. The sheet Notes lists missing values and their reasons.",
        f"The sheet {TABLE} can be filtered: product line {ALL_LINES} gives one row per agency.",
        "A text that looks like a formula has a leading apostrophe.",
    ]


def _line_in_words(prod_line: str) -> str:
    words = PRODUCT_LINES.get(prod_line)
    return f"{prod_line}, {words}" if words else prod_line


def _write_table(workbook: openpyxl.Workbook, report: PremiumReport) -> None:
    names = (*KEY, *FIGURES, "rows")
    sheet = _Sheet(workbook, TABLE, [15, 11, 13, *_widths(FIGURES), 10], _foot(report))
    sheet.sheet.freeze_panes = "D2"
    sheet.sheet.print_title_rows = "1:1"
    agencies = _records(report.agencies, (*KEY[:2], *FIGURES, "rows"))
    last = 1 + len(report.frame) + len(agencies)
    sheet.sheet.auto_filter.ref = f"A1:{get_column_letter(len(names))}{last}"
    sheet.append(_headings(names), _HEADING_HEIGHT)
    lines = _records(report.frame, names)
    place = 0
    for agency in agencies:
        while place < len(lines) and lines[place][0] == agency[0]:
            sheet.sheet.row_dimensions[sheet.rows + 1].outlineLevel = 1
            sheet.append(_row(names, lines[place], _BODY))
            place += 1
        sheet.append(_row(names, (*agency[:2], ALL_LINES, *agency[2:]), _SUBTOTAL))
    for total in _records(report.total, (*FIGURES, "rows")):
        sheet.append(_row(names, ("All agencies", None, ALL_LINES, *total), _TOTAL))


def _write_charts(workbook: openpyxl.Workbook, report: PremiumReport) -> None:
    sheet = _Sheet(workbook, CHARTS, [19, *[18] * report.product_lines["prod_line"].nunique(), 4], _foot(report))
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
        sheet.append([(title, "text", _SECTION)], 20)
        first = sheet.append([(heading, "text", _HEADING), *((line, "money", _HEADING) for line in table.columns)])
        values = _records(table, list(table.columns))
        for label, amounts in zip(table.index, values, strict=True):
            sheet.append([(str(label), "text", _BODY), *((amount, "money", _BODY) for amount in amounts)])
        if values:
            chart = _bar_chart(sheet.sheet, title, first, len(values), len(table.columns), is_ranking=is_ranking)
            sheet.sheet.add_chart(chart, f"{get_column_letter(len(table.columns) + 3)}{first - 1}")
        for _ in range(max(_CHART_ROWS - len(values) - 2, 1)):
            sheet.append()


def _bar_chart(sheet: Any, title: str, first: int, rows: int, lines: int, *, is_ranking: bool) -> BarChart:
    chart = BarChart()
    chart.type, chart.grouping, chart.overlap, chart.gapWidth = "bar" if is_ranking else "col", "stacked", 100, 50
    chart.add_data(
        Reference(sheet, min_col=2, max_col=1 + lines, min_row=first, max_row=first + rows), titles_from_data=True
    )
    chart.set_categories(Reference(sheet, min_col=1, min_row=first + 1, max_row=first + rows))
    for place, series in enumerate(chart.series):
        series.graphicalProperties = GraphicalProperties(solidFill=_LINE_COLOURS[place % len(_LINE_COLOURS)])
        series.invertIfNegative = False
    chart.title = title
    chart.title.tx.rich.p[0].pPr = ParagraphProperties(defRPr=CharacterProperties(sz=1300, b=True))
    chart.legend.position = "t"
    chart.y_axis.number_format, chart.y_axis.majorGridlines.spPr = _CHART_NUMBERS, _outline("hairline")
    chart.x_axis.tickLblPos = "low"
    for axis in (chart.x_axis, chart.y_axis):
        axis.delete = False
        axis.graphicalProperties = _outline("hairline")
        axis.txPr = RichText(
            p=[Paragraph(pPr=ParagraphProperties(defRPr=CharacterProperties(sz=900)), endParaRPr=None)]
        )
    if is_ranking:  # the largest on top, the amounts below
        chart.x_axis.scaling.orientation, chart.y_axis.crosses = "maxMin", "max"
    chart.width, chart.height = 24, 11
    return chart


def _outline(colour: str) -> GraphicalProperties:
    return GraphicalProperties(ln=LineProperties(solidFill=_LIGHT[colour], w=9525))


def _write_notes(workbook: openpyxl.Workbook, report: PremiumReport) -> None:
    sheet = _Sheet(workbook, NOTES, [26, 32, 30, 18, 14, 60], _foot(report))
    sheet.append([("Missing values and their reasons", "text", _SECTION)], 20)
    if report.missing.empty:
        sheet.append([("Every row has all its figures.", "text", _PLAIN)])
    else:
        headings = ("Product line", "Figure", "Reason", "Rows without it", "Rows in all", "What that means")
        kinds = ("text", "text", "text", "count", "count", "text")
        sheet.append([(text, kind, _HEADING) for text, kind in zip(headings, kinds, strict=True)], _HEADING_HEIGHT)
        for line, measure, reason, missing_rows, rows in _records(report.missing, list(report.missing.columns)):
            values = (_line_in_words(line), _HEADINGS[measure], reason, missing_rows, rows, REASONS.get(reason))
            sheet.append([(value, kind, _BODY) for value, kind in zip(values, kinds, strict=True)])
        sheet.append([("Sums exclude these rows for the missing figure.", "text", _PLAIN)])
    sheet.append()
    sheet.append([("Short years", "text", _SECTION)], 20)
    if report.short_years.empty:
        sheet.append([("The data covers all twelve months of every year.", "text", _PLAIN)])
        return
    sheet.append([("Year", "identifier", _HEADING), ("Months covered", "count", _HEADING)])
    for year, months in _records(report.short_years, _SHORT_YEAR):
        sheet.append([(year, "identifier", _BODY), (months, "count", _BODY)])
    sheet.append(
        [("Premium and losses of these years cover only these months: compare them with care.", "text", _PLAIN)]
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


class _UndatedZip(zipfile.ZipFile):
    """An archive without times, so that equal content gives equal bytes."""

    def writestr(self, zinfo_or_arcname: Any, data: Any, *_: Any, **__: Any) -> None:
        """Add an entry, dated on the format's first day."""
        entry = zipfile.ZipInfo(zinfo_or_arcname)
        entry.compress_type = zipfile.ZIP_DEFLATED
        super().writestr(entry, data)

    def write(self, filename: Any, arcname: Any = None, *_: Any, **__: Any) -> None:
        """Add a file as such an entry."""
        self.writestr(arcname, Path(filename).read_bytes())
