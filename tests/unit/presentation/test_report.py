import datetime as dt
import re
from dataclasses import replace

import altair as alt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quintet.presentation import report
from quintet.presentation.design import COLOURS, Column, Figure
from quintet.presentation.report import (
    Beside,
    Chart,
    Code,
    Diagram,
    Edge,
    Node,
    Points,
    Report,
    Section,
    Table,
    Text,
    Tiles,
    chart_svg,
    page_images,
    pdf,
    write_pdf,
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
NODES = (Node("click", "Click", 0, 0), Node("row", "Broker row", 1, 1, "with its click id", "accent"))


def paper(*blocks: report.Block, **changes: object) -> Report:
    """A paper of one section."""
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
    Diagram(NODES, (Edge("click", "row", "postback"),), "A click becomes a row."),
    Beside((Text("left"),), (Chart(BARS, height=90),), 0.4),
)


@pytest.mark.parametrize("page", ["a4", "16:9"])
def test_every_kind_of_content_makes_a_pdf_on_both_pages(page):
    assert pdf(paper(*EVERY_KIND, page=page)).startswith(b"%PDF-")


def test_the_same_paper_gives_the_same_bytes():
    assert pdf(paper(*EVERY_KIND)) == pdf(paper(*EVERY_KIND))


def test_another_number_gives_other_bytes():
    assert pdf(paper(Text("94.5%"))) != pdf(paper(Text("94.6%")))


def test_the_date_of_the_file_is_that_of_the_snapshot():
    content = pdf(paper(Text("x")))
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
def test_a_text_that_looks_like_typst_is_only_a_text(block):
    assert pdf(paper(block, title=PAYLOAD, lead=PAYLOAD, source=PAYLOAD, snapshot_id=PAYLOAD)).startswith(b"%PDF-")


def test_the_same_payload_as_markup_would_stop_the_paper(monkeypatch, tmp_path):
    template = tmp_path / "report.typ"
    template.write_text(report.TEMPLATE.read_text(encoding="utf-8") + '\n#eval(paper.lead, mode: "markup")')
    monkeypatch.setattr(report, "TEMPLATE", template)
    with pytest.raises(RuntimeError, match="evaluated"):
        pdf(paper(lead='#panic("evaluated")'))


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=60))
def test_any_text_can_stand_in_a_paper(text):
    assert pdf(paper(Text(text), Table(pd.DataFrame({"a": [text]}), (Column("a", "A"),)), title=text))


def test_what_cannot_be_seen_stands_as_its_code():
    shown = report._visible("abc\u202edef\x00 \u4e2d")
    assert shown == "abc<U+202E>def<U+0000> <U+4E2D>"


def test_letters_that_fonts_have_stay_as_they_are():
    text = "Côte d’Ivoire, Ελλάδα, Россия – 5 × 3 ≥ 2"
    assert report._visible(text) == text


def test_code_keeps_its_lines_and_gets_no_marks_for_breaking():
    text = "select 'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz'\n    as x"
    assert report._visible(text, keeps_lines=True) == text


def test_a_long_word_can_be_broken():
    assert "\u200b" in report._visible("x" * 60)
    assert "\u200b" not in report._visible("a short word")


def test_a_slide_is_a_page_of_its_own():
    sections = (Section("One", (Text("a"),)), Section("Two", (Text("b"),)))
    assert len(page_images(paper(sections=sections, page="16:9"), 24)) == 3
    assert len(page_images(paper(sections=sections), 24)) == 1


def test_a_long_table_says_what_it_leaves_out():
    frame = pd.DataFrame({"n": range(report.MOST_TABLE_ROWS + 5)})
    data = report._table(Table(frame, (Column("n", "N", "count"),)))
    assert (len(data["rows"]), data["more"]) == (report.MOST_TABLE_ROWS, "5 more rows are not shown.")
    assert report._table(Table(frame.head(2), (Column("n", "N", "count"),)))["more"] == ""


def test_a_long_cell_is_cut():
    assert report._table(Table(pd.DataFrame({"n": ["x y " * 99]}), (Column("n", "N"),), "", 20))["rows"] == [
        ["x y x y x y x y x y…"]
    ]


def test_a_chart_is_drawn_alike_however_many_were_drawn_before():
    assert 'id="clip1"' in chart_svg(BARS, 400)
    assert chart_svg(BARS, 400) == chart_svg(BARS, 400)


def test_a_chart_takes_the_width_that_it_is_given():
    assert 'width="400"' in chart_svg(BARS, 400)
    assert 'width="500"' in chart_svg(BARS, 500)


def test_a_chart_is_drawn_in_the_light_scheme_and_in_a_font_of_the_paper():
    svg = chart_svg(BARS, 400)
    assert COLOURS["light"]["ink-muted"] in svg
    assert set(re.findall(r'font-family="([^"]*)"', svg)) == {report.TEXT_FONT}


def test_a_figure_without_a_chart_has_no_picture():
    with pytest.raises(ValueError, match="nothing to draw"):
        chart_svg(EMPTY, 400)


def test_an_edge_to_nowhere_is_refused():
    with pytest.raises(ValueError, match="needs a node 'rows'"):
        Diagram(NODES, (Edge("click", "rows"),), "")


def test_a_paper_is_written_whole(tmp_path):
    path = write_pdf(paper(Text("x")), tmp_path / "reports" / "x.pdf")
    assert path.read_bytes() == pdf(paper(Text("x")))
    assert [each.name for each in path.parent.iterdir()] == ["x.pdf"]


def test_only_fonts_that_typst_brings_are_used():
    import typst  # noqa: PLC0415

    families = typst.Fonts(include_system_fonts=False).families()
    assert {report.TEXT_FONT, report.CODE_FONT} <= set(families)
    named = re.findall(rb"/FontName/[A-Z]+\+([A-Za-z]+)", pdf(paper(*EVERY_KIND)))
    assert {name.decode() for name in named} <= {"LibertinusSerif", "DejaVuSansMono"}
