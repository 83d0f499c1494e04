"""A report's blocks as data for the layout, `report.typ`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from quintet.presentation.blocks import (
    Beside,
    Block,
    Chart,
    Code,
    Diagram,
    Evidence,
    Finding,
    Points,
    Section,
    Table,
    Text,
    Tiles,
)
from quintet.presentation.design import format_value
from quintet.presentation.report_charts import is_sized
from quintet.presentation.report_text import cut, visible

MOST_TABLE_ROWS = 60
"""A report shows this many first rows of a longer table, and says how many it leaves out."""

GROWS, SHRINKS, FLOOR = 3.0, 0.85, 0.45
"""How much higher or lower than usual a chart may be, and how low where its page would stay empty otherwise."""


@dataclass
class Content:
    """Turns blocks into data, and collects their charts with their width and height, px."""

    content_px: int
    charts: list[tuple[Chart, int, int]]

    def section(self, section: Section) -> list[dict[str, Any]]:
        """Return the blocks of a section; the first has the title."""
        blocks = self.blocks(section.blocks, 1.0) or [{"kind": "text", "text": "", "is_muted": True}]
        blocks[0]["heading"] = visible(section.title)
        return blocks

    def blocks(self, blocks: Sequence[Block], share: float) -> list[dict[str, Any]]:
        """Return the data of blocks that take a share of the width."""
        return [self.block(block, share) for block in blocks]

    def block(self, block: Block, share: float) -> dict[str, Any]:
        """Return the data of a block that takes a share of the width."""
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
        """Return the data of a chart, and collect it."""
        figure = block.figure
        texts = {
            "kind": "chart",
            "title": visible(figure.title) if block.has_title else "",
            "alternative": visible(figure.alternative),
            "note": visible(figure.note),
        }
        if figure.chart is None:
            return texts | {"chart": None}
        height = block.height or figure.height
        self.charts.append((block, round(self.content_px * share), height))
        can_stretch = share == 1.0 and (not is_sized(figure.spec()) or "vconcat" in figure.spec())
        return texts | {"chart": len(self.charts) - 1, "can_stretch": can_stretch}


def findings_data(findings: Sequence[Finding]) -> list[dict[str, str]]:
    """Return the findings of the first page."""
    return [
        {
            "size": visible(each.size),
            "text": visible(each.text),
            "action": visible(each.action),
            "value": visible(each.value),
            "certainty": visible(each.certainty),
        }
        for each in findings
    ]


def evidence_sections(findings: Sequence[Finding]) -> tuple[Section, ...]:
    """Return the queries behind the findings, for the appendix."""
    proven = [each for each in findings if each.evidence]
    if not proven:
        return ()
    blocks: list[Block] = [Text("Each query runs as printed on the snapshot that the foot of the page names.")]
    for finding in proven:
        blocks.append(Text(finding.text))
        for sql, numbers in _by_query(finding.evidence).items():
            blocks.append(Code("\n".join([*(f"-- {number}" for number in numbers), sql]), "sql"))
    return (Section("The queries behind the first page", tuple(blocks)),)


def _by_query(evidence: Sequence[Evidence]) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for each in evidence:
        named.setdefault(each.sql.strip(), []).append(f"{each.name}: {each.value:,.10g}")
    return named


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
