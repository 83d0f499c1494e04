"""What a report consists of: findings, messages, and the blocks that show them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from quintet.presentation.design import Column, Figure

Page = Literal["a4", "16:9"]


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
    """One message: a title that states it, and the blocks that show it. It begins a page or a slide."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Evidence:
    """A number of a finding: what it is, its value, and a query of the snapshot that returns the same value."""

    name: str
    value: float
    sql: str


@dataclass(frozen=True)
class Finding:
    """A finding on the first page, for a reader who knows no statistics.

    size: its main number. text: what is so, in a sentence. action: what to do. value: what that would bring, in money
    or customers. certainty: how sure it is, in words. evidence: its numbers, each with its query.
    """

    size: str
    text: str
    action: str
    value: str
    certainty: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class Report:
    """A report. title: the main finding. lead: the question it answers, in a sentence.

    source: the data it rests on. snapshot_id, published_at (UTC without zone): of the snapshot it was made from.
    findings: the first page. sections: one message each. appendix: methods; the queries of the findings follow it.
    """

    title: str
    lead: str
    source: str
    snapshot_id: str
    published_at: dt.datetime
    sections: tuple[Section, ...]
    page: Page = "a4"
    findings: tuple[Finding, ...] = ()
    appendix: tuple[Section, ...] = ()


def report_without_data(what: str, how: str, snapshot_id: str, published_at: dt.datetime) -> Report:
    """Return a report of one page that says that there is no data yet, and how to load some."""
    section = Section("There is nothing to report yet", (Text(how),))
    return Report(f"No {what} yet", "", "no files", snapshot_id, published_at, (section,))
