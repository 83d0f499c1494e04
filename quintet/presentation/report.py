"""The layout of a PDF report, for any content.

The layout is a fixed typst program, `report.typ`. All content reaches it as data, never as markup: text that looks
like typst is printed as it is. Fonts come with typst: a report looks the same on every machine. The same report always
compiles to the same bytes; its only date is the snapshot's.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import typst
import vl_convert

from quintet.presentation.design import CATEGORY, COLOURS, SPACE, Column, Figure, format_value, vega_config
from quintet.presentation.report_text import cut, visible

Page = Literal["a4", "16:9"]
TEMPLATE = Path(__file__).with_suffix(".typ")
VEGA_LITE = "6.4"
TEXT_FONT, CODE_FONT = "Libertinus Serif", "DejaVu Sans Mono"
"""Two fonts that come with typst."""
MOST_TABLE_ROWS = 60
"""A report shows this many first rows of a longer table, and says how many it leaves out."""
_CONTENT_PX = {"a4": 640, "16:9": 1080}
_CHART_FONT = "Liberation Sans"  # part of vl-convert, which measures with it; slightly wider than the report's font
_CLIP = re.compile(r"\b(clip|gradient_)(\d+)\b")


@dataclass(frozen=True)
class Text:
    """A paragraph. is_muted: an aside, such as how a figure was computed."""

    text: str
    is_muted: bool = False


@dataclass(frozen=True)
class Points:
    """A list of short texts, each with its leading word or number (empty for none).

    is_numbered: their order matters.
    """

    points: tuple[tuple[str, str], ...]
    is_numbered: bool = False


@dataclass(frozen=True)
class Tiles:
    """Up to five main numbers side by side: label, value and basis."""

    tiles: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Chart:
    """A figure with its title, alternative text and note. height: px, if not the figure's own."""

    figure: Figure
    height: int | None = None
    has_title: bool = True


@dataclass(frozen=True)
class Table:
    """A frame's columns as a table, with a line above it. Texts are cut at `most_letters`."""

    frame: pd.DataFrame
    columns: tuple[Column, ...]
    caption: str = ""
    most_letters: int = 120


@dataclass(frozen=True)
class Code:
    """Verbatim text, such as SQL. language: a name of typst's highlighter, or empty."""

    text: str
    language: str = ""


@dataclass(frozen=True)
class Node:
    """A box of a diagram at a column and row of its grid, with a title and a text.

    role: `plain`, `accent` (the subject of the text), `store` or `outside` (not part of Quintet).
    """

    name: str
    title: str
    column: float
    row: float
    text: str = ""
    role: Literal["plain", "accent", "store", "outside"] = "plain"


@dataclass(frozen=True)
class Edge:
    """A labelled arrow between two nodes of a diagram, by their names. is_dashed: for an exceptional path.

    label_dx, label_dy: offsets of the label, in columns and rows.
    """

    start: str
    end: str
    label: str = ""
    is_dashed: bool = False
    label_dx: float = 0
    label_dy: float = 0


@dataclass(frozen=True)
class Diagram:
    """Boxes and arrows on a grid, drawn to the full width. alternative: its alternative text.

    row_height: points from one row to the next. Raises ValueError for an edge to an unknown node.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    alternative: str
    row_height: int = 84
    box_height: int = 56

    def __post_init__(self) -> None:
        """Raise ValueError for an edge to an unknown node."""
        names = {node.name for node in self.nodes}
        for edge in self.edges:
            for end in (edge.start, edge.end):
                if end not in names:
                    raise ValueError(f"the edge {edge.start} -> {edge.end} needs a node {end!r}; there are: {names}")


@dataclass(frozen=True)
class Beside:
    """Two columns of content. share: the left column's share of the width."""

    left: tuple[Block, ...]
    right: tuple[Block, ...]
    share: float = 0.5


Block = Text | Points | Tiles | Chart | Table | Code | Diagram | Beside


@dataclass(frozen=True)
class Section:
    """One finding: a title that states it, and the blocks that show it. On 16:9 it is a slide.

    starts_page: whether it begins a new page on A4.
    """

    title: str
    blocks: tuple[Block, ...]
    starts_page: bool = False


@dataclass(frozen=True)
class Report:
    """A report. title: the finding. lead: the question it answers, in a sentence.

    source: the data it rests on. snapshot_id, published_at (UTC without zone): of the snapshot it was made from.
    """

    title: str
    lead: str
    source: str
    snapshot_id: str
    published_at: dt.datetime
    sections: tuple[Section, ...]
    page: Page = "a4"


def pdf(report: Report) -> bytes:
    """Return the report as PDF; the same report always compiles to the same bytes."""
    return _compile(report)


def write_pdf(report: Report, path: Path) -> Path:
    """Write the report to a file, replaced atomically, and return its path."""
    content = pdf(report)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.tmp")
    try:
        unfinished.write_bytes(content)
        return unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def chart_svg(figure: Figure, width: int, height: int | None = None) -> str:
    """Return a figure's chart as SVG of a width in px, in the light scheme and the report's font.

    Raises ValueError if the figure has no chart.
    """
    spec = figure.spec()
    sized = "vconcat" in spec or "hconcat" in spec or "facet" in spec
    spec |= {} if sized else {"width": width, "autosize": {"type": "fit-x", "contains": "padding"}}
    if height is not None and not sized:
        spec["height"] = height
    for view in spec.get("vconcat", ()):
        view["width"] = width - 96
    config = vega_config("light") | {"font": _CHART_FONT}
    svg = vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE, config=config, allowed_base_urls=[])
    return _with_stable_ids(svg).replace(_CHART_FONT, TEXT_FONT)


def _with_stable_ids(svg: str) -> str:
    """Number the ids of clips and gradients from one: the renderer counts on over all charts of a process."""
    numbers: dict[str, int] = {}
    return _CLIP.sub(lambda found: f"{found[1]}{numbers.setdefault(found[0], len(numbers) + 1)}", svg)


def _compile(report: Report) -> bytes:
    published = report.published_at.replace(tzinfo=dt.UTC)
    with tempfile.TemporaryDirectory(prefix="report-") as folder:
        root = Path(folder)
        charts: list[str] = []
        content = _Content(_CONTENT_PX[report.page], charts)
        data = {
            "page": report.page,
            "title": visible(report.title),
            "lead": visible(report.lead),
            "source": visible(report.source),
            "snapshot": visible(report.snapshot_id),
            "date": [published.year, published.month, published.day, published.hour, published.minute],
            "published": f"{published:%Y-%m-%d %H:%M} UTC",
            "colours": dict(COLOURS["light"]),
            "category": list(CATEGORY["light"]),
            "space": SPACE,
            "text_font": TEXT_FONT,
            "code_font": CODE_FONT,
            "sections": [
                {
                    "title": visible(section.title),
                    "starts_page": section.starts_page,
                    "blocks": content.blocks(section.blocks, 1.0),
                }
                for section in report.sections
            ],
        }
        for number, svg in enumerate(charts):
            (root / f"chart{number}.svg").write_text(svg, encoding="utf-8")
        (root / "report.json").write_text(json.dumps(data, allow_nan=False), encoding="utf-8")
        (root / "report.typ").write_bytes(TEMPLATE.read_bytes())
        compiled: bytes = typst.compile(
            str(root / "report.typ"),
            root=str(root),
            font_paths=[],
            ignore_system_fonts=True,
            format="pdf",
            timestamp=int(published.timestamp()),
        )
    return compiled


@dataclass(frozen=True)
class _Content:
    """Turns blocks into data for the template, and collects their charts."""

    content_px: int
    charts: list[str]

    def blocks(self, blocks: Sequence[Block], share: float) -> list[dict[str, Any]]:
        return [self.block(block, share) for block in blocks]

    def block(self, block: Block, share: float) -> dict[str, Any]:
        match block:
            case Chart():
                return self.chart(block, share)
            case Table():
                return _table(block)
            case Diagram():
                return _diagram(block)
            case Beside():
                return {
                    "kind": "beside",
                    "share": block.share,
                    "left": self.blocks(block.left, share * block.share),
                    "right": self.blocks(block.right, share * (1 - block.share)),
                }
            case _:
                return _words(block)

    def chart(self, block: Chart, share: float) -> dict[str, Any]:
        figure = block.figure
        texts = {
            "title": visible(figure.title) if block.has_title else "",
            "alternative": visible(figure.alternative),
            "note": visible(figure.note),
        }
        if figure.chart is None:
            return {"kind": "chart", "image": None} | texts
        self.charts.append(chart_svg(figure, round(self.content_px * share), block.height))
        return {"kind": "chart", "image": f"chart{len(self.charts) - 1}.svg"} | texts


def _words(block: Text | Points | Tiles | Code) -> dict[str, Any]:
    match block:
        case Text():
            return {"kind": "text", "text": visible(block.text), "is_muted": block.is_muted}
        case Points():
            points = [[visible(lead), visible(text)] for lead, text in block.points]
            return {"kind": "points", "points": points, "is_numbered": block.is_numbered}
        case Tiles():
            return {"kind": "tiles", "tiles": [[visible(text) for text in tile] for tile in block.tiles]}
        case Code():
            return {"kind": "code", "text": visible(block.text, keeps_lines=True), "language": block.language}


def _table(table: Table) -> dict[str, Any]:
    shown = table.frame.head(MOST_TABLE_ROWS)
    headings = [f"{column.label}, {column.unit}" if column.unit else column.label for column in table.columns]
    cells = [
        [cut(visible(format_value(value, column.kind)), table.most_letters) for value in shown[column.name]]
        for column in table.columns
    ]
    left_out = len(table.frame) - len(shown)
    return {
        "kind": "table",
        "caption": visible(table.caption),
        "headings": [visible(heading) for heading in headings],
        "is_figure": [column.is_figure for column in table.columns],
        "rows": [list(row) for row in zip(*cells, strict=True)],
        "more": f"{left_out:,} more rows are not shown." if left_out else "",
    }


def _diagram(diagram: Diagram) -> dict[str, Any]:
    places = {node.name: (node.column, node.row) for node in diagram.nodes}
    return {
        "kind": "diagram",
        "alternative": visible(diagram.alternative),
        "columns": max((node.column for node in diagram.nodes), default=0) + 1,
        "rows": max((node.row for node in diagram.nodes), default=0) + 1,
        "row_height": diagram.row_height,
        "box_height": diagram.box_height,
        "nodes": [
            {
                "title": visible(node.title),
                "text": visible(node.text),
                "column": node.column,
                "row": node.row,
                "role": node.role,
            }
            for node in diagram.nodes
        ],
        "edges": [
            {
                "from": places[edge.start],
                "to": places[edge.end],
                "label": visible(edge.label),
                "is_dashed": edge.is_dashed,
                "label_dx": edge.label_dx,
                "label_dy": edge.label_dy,
            }
            for edge in diagram.edges
        ],
    }
