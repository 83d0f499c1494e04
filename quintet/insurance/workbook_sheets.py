"""Sheets of a workbook: styles, rows of typed cells, bar charts, and an archive without times."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
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

from quintet.presentation.design import CATEGORY, COLOURS, as_text

_LIGHT = {name: colour.removeprefix("#") for name, colour in COLOURS["light"].items()}
_LINE_COLOURS = tuple(colour.removeprefix("#") for colour in CATEGORY["light"])
_HAIRLINE = Border(bottom=Side(style="thin", color=_LIGHT["hairline"]))
_NUMBER_FORMATS = {"money": "#,##0.00", "percent": "0.0%", "count": "#,##0", "identifier": "0"}
HEADING_HEIGHT = 32
CHART_ROWS = 24
_CHART_NUMBERS = '[>=1000000]#,##0.0,,"M";[>=1000]#,##0,"k";#,##0'


@dataclass(frozen=True)
class Style:
    """The style of a cell; numbers have the format of their kind."""

    font: Font
    fill: PatternFill | None = None
    border: Border | None = None
    wraps: bool = False


def _font(colour: str, size: float = 11, *, bold: bool = False) -> Font:
    return Font(name="Calibri", size=size, bold=bold, color=_LIGHT[colour])


def _filled(colour: str) -> PatternFill:
    return PatternFill("solid", fgColor=_LIGHT[colour])


HEADLINE = Style(_font("ink", 20, bold=True))
LEAD = Style(_font("ink-muted", 12))
SECTION = Style(_font("accent", 13, bold=True))
LABEL = Style(_font("ink-muted"), border=_HAIRLINE)
BODY = Style(_font("ink"), border=_HAIRLINE)
PLAIN = Style(_font("ink"))
HEADING = Style(_font("on-accent", bold=True), _filled("accent"), wraps=True)
SUBTOTAL = Style(_font("ink", bold=True), _filled("accent-soft"), _HAIRLINE)
TOTAL = Style(
    _font("ink", bold=True),
    _filled("accent-soft"),
    Border(top=Side(style="medium", color=_LIGHT["accent"]), bottom=Side(style="medium", color=_LIGHT["accent"])),
)
_TITLES = (HEADLINE, LEAD, SECTION, PLAIN)
"""Styles without an indent."""


class Sheet:
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

    def append(self, cells: Iterable[tuple[Any, str, Style]] = (), height: float | None = None) -> int:
        """Write a row of values, each with its kind (`money`, `text` …) and style; return the row's number."""
        self.rows += 1
        if height:
            self.sheet.row_dimensions[self.rows].height = height
        self.sheet.append([self._cell(place, *cell) for place, cell in enumerate(cells)])
        return self.rows

    def _cell(self, place: int, value: Any, kind: str, style: Style) -> WriteOnlyCell | None:
        # A cell is written as soon as its row is appended, so that one cell per column and style serves all rows:
        # creating and styling a cell takes ten times as long as writing it.
        key = (place, id(style), kind)
        if key not in self._cells:
            self._cells[key] = _styled_cell(self.sheet, kind, style)
        cell = self._cells[key]
        cell.value = as_text(value) if isinstance(value, str) else value
        return cell


def _styled_cell(sheet: Any, kind: str, style: Style) -> WriteOnlyCell:
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


def bar_chart(sheet: Any, title: str, first: int, rows: int, lines: int, *, is_ranking: bool) -> BarChart:
    """Return a stacked bar chart of a table of the sheet.

    first: the row of its headings. rows, lines: how many rows and columns of amounts follow. is_ranking: whether bars
    are horizontal, the first one on top.
    """
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


class UndatedZip(zipfile.ZipFile):
    """An archive without times, so that equal content gives equal bytes."""

    def writestr(self, zinfo_or_arcname: Any, data: Any, *_: Any, **__: Any) -> None:
        """Add an entry, dated on the format's first day."""
        entry = zipfile.ZipInfo(zinfo_or_arcname)
        entry.compress_type = zipfile.ZIP_DEFLATED
        super().writestr(entry, data)

    def write(self, filename: Any, arcname: Any = None, *_: Any, **__: Any) -> None:
        """Add a file as such an entry."""
        self.writestr(arcname, Path(filename).read_bytes())
