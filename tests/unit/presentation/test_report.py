import datetime as dt
import re
from dataclasses import replace

import altair as alt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quintet.presentation import report
from quintet.presentation.blocks import (
    Beside,
    Block,
    Chart,
    Code,
    Diagram,
    Edge,
    Evidence,
    Finding,
    Node,
    Points,
    Report,
    Section,
    Table,
    Text,
    Tiles,
)
from quintet.presentation.design import Column, Figure
from quintet.presentation.report import pages, pdf
from tests.filled import filled

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


def a_report(*blocks: Block, **changes: object) -> Report:
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


FINDING = Finding(
    "57 customers",
    "Visitors with phones bring 5 important customers per 1,000 visits; all visitors bring 21.",
    "Look at the page on a phone.",
    "About 57 more customers a month.",
    "Practically certain.",
    (Evidence("visits", 1_000, "select 1000"),),
)
TALL = replace(BARS, height=700)
MANY = pd.DataFrame({"name": [f"row {number}" for number in range(55)], "n": range(55)})


SHORT_AND_TALL = [(Text("a"),), (Chart(TALL),), (Text("b"), Chart(BARS)), (Text("c"),)]


@pytest.mark.parametrize(
    ("page", "findings", "sections"),
    [
        ("a4", 0, [(Chart(BARS),), (Chart(BARS),), (Text("a"),)]),
        ("a4", 1, SHORT_AND_TALL),
        ("a4", 3, [(Table(MANY, COLUMNS),), (Chart(BARS), Table(MANY.head(9), COLUMNS)), (Chart(BARS),)]),
        ("a4", 5, [(Chart(BARS), Chart(TALL)), (Diagram(NODES, (), "boxes"),), (Chart(EMPTY),), (Chart(BARS),)]),
        ("16:9", 5, SHORT_AND_TALL),
    ],
)
def test_no_page_is_less_than_60_percent_filled_but_the_last(page, findings, sections):
    report = a_report(
        page=page,
        findings=(FINDING,) * findings,
        sections=tuple(Section(f"Message {number}", blocks) for number, blocks in enumerate(sections)),
        appendix=(Section("Method", (Text("It is computed. " * 60), Code("select 1\n" * 30))),),
    )
    *shares, _ = filled(report)
    assert min(shares) >= 0.6


def test_a_page_that_ends_early_is_measured_as_such(monkeypatch):
    monkeypatch.setattr("quintet.presentation.report.GROWS", 1.0)
    monkeypatch.setattr("quintet.presentation.paging.FILLED", 0.1)
    sections = tuple(Section(str(number), (Chart(BARS, height=90),)) for number in range(3))
    assert min(filled(a_report(sections=sections))[1:-1]) < 0.6


def test_the_queries_of_findings_are_in_the_appendix():
    without, with_query = (
        len(pages(a_report(Text("a"), findings=(replace(FINDING, evidence=evidence),)), 20))
        for evidence in ((), tuple(Evidence("n", 1, f"select {number}" + ",\n1" * 60) for number in range(3)))
    )
    assert with_query > without
