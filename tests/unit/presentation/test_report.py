import datetime as dt
import re
from dataclasses import replace

import altair as alt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quintet.presentation import report
from quintet.presentation.design import Column, Figure
from quintet.presentation.report import (
    Beside,
    Chart,
    Code,
    Diagram,
    Edge,
    Node,
    Page,
    Points,
    Report,
    Section,
    Table,
    Text,
    Tiles,
    pdf,
)

PAYLOAD = """'; #panic("evaluated") \\ $x$ *bold* #import "@preview/x:1.0.0" ]] --"""
ROWS = pd.DataFrame({"name": ["Ärger", PAYLOAD], "n": [3, 5]})
COLUMNS = (Column("name", "Name"), Column("n", "Rows", "count"))
BARS = Figure(
    name="bars",
    title="Rows by name",
    alternative="The payload has most: 5.",
    chart=alt.Chart(ROWS).mark_line(clip=True).encode(x="n:Q", y="name:N"),
    table=ROWS,
    columns=COLUMNS,
)
EMPTY = replace(BARS, chart=None, note="There is nothing to draw.")
NODES = (Node("conversion", "Conversion", 0, 0), Node("row", "Broker row", 1, 1, "with its id", "accent"))


def a_report(*blocks: report.Block, **changes: object) -> Report:
    """Return a report of one section."""
    plain = Report(
        title="Two rows in three are matched",
        lead="How many rows are matched?",
        source="2 files of the broker",
        snapshot_id="2026-11-21-abc",
        published_at=dt.datetime(2026, 11, 21, 9, 30),
        sections=(Section("One message", blocks),),
    )
    return replace(plain, **changes)


EVERY_KIND = (
    Text("A paragraph."),
    Text("An aside.", is_muted=True),
    Points((("First", "of two"), ("", "second"))),
    Points((("1", "one"),), is_numbered=True),
    Tiles((("Matched", "94.6%", "of 61,840 rows"),)),
    Chart(BARS),
    Chart(EMPTY),
    Table(ROWS, COLUMNS, "Rows"),
    Table(ROWS.head(0), COLUMNS),
    Code("select 1\nfrom rows", "sql"),
    Diagram(NODES, (Edge("conversion", "row", "postback"),), "A conversion becomes a row."),
    Beside((Text("left"),), (Chart(BARS, height=90),), 0.4),
)


@pytest.mark.parametrize("page", ["a4", "16:9"])
def test_every_kind_of_content_makes_a_pdf_on_both_pages(page):
    assert pdf(a_report(*EVERY_KIND, page=page)).startswith(b"%PDF-")


def test_the_same_report_has_the_same_bytes():
    assert pdf(a_report(*EVERY_KIND)) == pdf(a_report(*EVERY_KIND))


def test_another_number_changes_the_bytes():
    assert pdf(a_report(Text("94.5%"))) != pdf(a_report(Text("94.6%")))


def test_the_date_of_the_file_is_the_snapshots():
    content = pdf(a_report(Text("x")))
    assert re.findall(rb"/CreationDate\(D:(\d+)", content) == [b"20261121093000"]


@pytest.mark.parametrize(
    "block",
    [
        Text(PAYLOAD),
        Points(((PAYLOAD, PAYLOAD),)),
        Tiles(((PAYLOAD, PAYLOAD, PAYLOAD),)),
        Table(ROWS, (Column("name", PAYLOAD), COLUMNS[1]), PAYLOAD),
        Code(PAYLOAD, "sql"),
        Chart(replace(BARS, title=PAYLOAD, alternative=PAYLOAD, note=PAYLOAD)),
        Diagram((Node("a", PAYLOAD, 0, 0, PAYLOAD),), (), PAYLOAD),
    ],
    ids=lambda block: type(block).__name__,
)
def test_text_that_looks_like_typst_is_printed_as_it_is(block):
    assert pdf(a_report(block, title=PAYLOAD, lead=PAYLOAD, source=PAYLOAD, snapshot_id=PAYLOAD)).startswith(b"%PDF-")


def test_the_same_payload_as_markup_would_fail_the_report(monkeypatch, tmp_path):
    template = tmp_path / "report.typ"
    template.write_text(report.TEMPLATE.read_text(encoding="utf-8") + '\n#eval(report.lead, mode: "markup")')
    monkeypatch.setattr(report, "TEMPLATE", template)
    with pytest.raises(RuntimeError, match="evaluated"):
        pdf(a_report(lead='#panic("evaluated")'))


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=60))
def test_any_text_can_be_in_a_report(text):
    assert pdf(a_report(Text(text), Table(pd.DataFrame({"a": [text]}), (Column("a", "A"),)), title=text))


def test_each_slide_is_one_page():
    def pages(page: Page) -> int:
        sections = (Section("One", (Text("a"),)), Section("Two", (Text("b"),)))
        return len(re.findall(rb"/Type ?/Page\b", pdf(a_report(sections=sections, page=page))))

    assert (pages("16:9"), pages("a4")) == (3, 1)
