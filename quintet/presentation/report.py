"""The layout of a PDF report, for any content.

The layout is a fixed typst program, `report.typ`. All content reaches it as data, never as markup: text that looks
like typst is printed as it is. Fonts come with typst: a report looks the same on every machine. The same report always
compiles to the same bytes; its only date is the snapshot's. It is compiled twice: the first time on one endless page,
to measure the blocks; `paging` then chooses the pages and the heights of the charts.
"""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import typst

from quintet.presentation.blocks import Page, Report
from quintet.presentation.design import CATEGORY, COLOURS, SPACE
from quintet.presentation.paging import Item, paginate
from quintet.presentation.report_charts import TEXT_FONT, chart_svg
from quintet.presentation.report_content import FLOOR, GROWS, SHRINKS, Content, evidence_sections, findings_data
from quintet.presentation.report_text import visible

TEMPLATE = Path(__file__).with_suffix(".typ")
CODE_FONT = "DejaVu Sans Mono"
"""A font that comes with typst."""

_CM = 72 / 2.54
_CONTENT_PX = {"a4": 640, "16:9": 1080}
_CONTENT_WIDTH = {"a4": 17.0 * _CM, "16:9": 29.87 * _CM}
_CONTENT_HEIGHT = {"a4": 25.5 * _CM, "16:9": 15.85 * _CM}
_HIGHEST = {"a4": 0.92, "16:9": 0.88}
_FRONT_GROWS = 1.7
_LOWEST_CHART = 90.0
_BREAKS = {"text", "points", "table", "code"}


def pdf(report: Report) -> bytes:
    """Return the report as PDF; the same report always compiles to the same bytes."""
    [compiled] = _compile(report, "pdf")
    return compiled


def pages(report: Report, pixels_per_inch: float) -> list[bytes]:
    """Return each page of the report as a PNG picture."""
    return _compile(report, "png", pixels_per_inch)


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


def _compile(report: Report, kind: Literal["pdf", "png"], pixels_per_inch: float = 72) -> list[bytes]:
    published = report.published_at.replace(tzinfo=dt.UTC)
    content = Content(_CONTENT_PX[report.page], [])
    sections = [(section, False) for section in report.sections]
    appendix = (*report.appendix, *evidence_sections(report.findings))
    sections += [(section, True) for section in appendix]
    blocks = [
        block | {"is_appendix": is_appendix} for section, is_appendix in sections for block in content.section(section)
    ]
    if appendix:
        first = next(block for block in blocks if block["is_appendix"])
        first["begins_appendix"] = True
    to_px = _CONTENT_PX[report.page] / _CONTENT_WIDTH[report.page]
    for block in blocks:
        if block.get("chart") is not None:
            block["height"] = content.charts[block["chart"]][2] / to_px
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
        "findings": findings_data(report.findings),
        "front_height": None,
        "blocks": blocks,
        "is_measured": True,
    }
    with tempfile.TemporaryDirectory(prefix="report-") as folder:
        root = Path(folder)
        (root / "report.typ").write_bytes(TEMPLATE.read_bytes())
        data |= _places(data, _measured(root, data), report.page)
        by_chart = {block["chart"]: block for block in blocks if block.get("chart") is not None}
        for number, (chart, width, height) in enumerate(content.charts):
            placed = by_chart.get(number)
            can_stretch = placed is not None and placed["can_stretch"]
            own = chart.height if placed is not None else height
            svg = chart_svg(chart.figure, width, round(by_chart[number]["height"] * to_px) if can_stretch else own)
            (root / f"chart{number}.svg").write_text(svg, encoding="utf-8")
        _write(root, data)
        compiled: bytes | list[bytes] = typst.compile(
            str(root / "report.typ"),
            root=str(root),
            font_paths=[],
            ignore_system_fonts=True,
            format=kind,
            ppi=pixels_per_inch,
            timestamp=int(published.timestamp()),
        )
    return compiled if isinstance(compiled, list) else [compiled]


def _measured(root: Path, data: dict[str, Any]) -> list[float]:
    """Return the height of the front and of each block, points."""
    _write(root, data)
    found = typst.query(
        str(root / "report.typ"), "<top>", field="value", root=str(root), font_paths=[], ignore_system_fonts=True
    )
    tops: list[float] = json.loads(found)
    return [below - above for above, below in pairwise(tops)]


def _places(data: dict[str, Any], heights: list[float], page: Page) -> dict[str, Any]:
    """Set the page and height of each block; return what else changes from the first to the second compilation."""
    front, *others = heights
    room = _CONTENT_HEIGHT[page]
    most_front = front * _FRONT_GROWS if len(data["findings"]) > 1 else front
    front = min(front, room * _HIGHEST[page])
    items = [Item(front, front, max(front, min(most_front, room * 0.96)), front, starts=True)]
    for block, height in zip(data["blocks"], others, strict=True):
        least = most = floor = natural = height
        if block.get("can_stretch"):
            own, highest = block["height"], room * _HIGHEST[page]
            around = height - own
            floor = around + min(own * FLOOR, max(highest - around, _LOWEST_CHART))
            least = max(floor, around + min(own * SHRINKS, highest - around))
            most = max(least, min(around + own * GROWS, highest))
            natural = max(least, min(height, most))
        items.append(
            Item(
                natural,
                least,
                most,
                floor,
                breaks=block["kind"] in _BREAKS,
                starts="heading" in block,
                flows=block["is_appendix"] and not block.get("begins_appendix"),
            )
        )
    placed_front, *placed = paginate(items, room)
    for block, measured, place in zip(data["blocks"], others, placed, strict=True):
        block["begins_page"] = place.begins_page
        if block.get("can_stretch"):
            block["height"] += place.height - measured
    return {"front_height": placed_front.height, "is_measured": False}


def _write(root: Path, data: dict[str, Any]) -> None:
    (root / "report.json").write_text(json.dumps(data, allow_nan=False), encoding="utf-8")
