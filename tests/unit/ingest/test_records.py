"""The record reader returns the same as DuckDB's reader for a valid file, and loses nothing of a broken one."""

from __future__ import annotations

import datetime as dt
import io
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb
import openpyxl
import pandera.pandas as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from quintet.ingest.content import read_content
from quintet.ingest.contract import Dataset, text
from quintet.ingest.files import read_layout
from quintet.ingest.inbox import list_inbox
from quintet.ingest.load import load_files
from quintet.ingest.raw_tables import prepare
from quintet.ingest.records import LONGEST_RECORD_BYTES, Record, read_records, split_records

NOTES = Dataset(
    name="notes",
    domain="shop",
    description="Any text at all, in three columns.",
    schema=pa.DataFrameSchema({name: text("", nullable=True) for name in ("a", "b", "c")}, name="notes"),
)


def split(content: str, delimiter: str = ",", width: int = 3) -> list[Record]:
    return list(split_records(io.StringIO("a,b,c\n" + content, newline=""), delimiter, width))


def cells(content: str) -> list[tuple[str | None, ...] | None]:
    return [record.cells for record in split(content)]


def test_rows_are_numbered_from_one_and_blank_lines_are_none():
    assert [(record.row, record.cells) for record in split("1,2,3\n\n\r\n4,5,6\n")] == [
        (1, ("1", "2", "3")),
        (2, ("4", "5", "6")),
    ]


def test_an_empty_cell_is_missing_quoted_or_not():
    assert cells(',"",x\n') == [(None, None, "x")]


def test_spaces_belong_to_a_cell():
    assert cells(" 1 ,\t2,  \n") == [(" 1 ", "\t2", "  ")]


def test_quotes_keep_delimiters_line_ends_and_quotes():
    assert cells('"1,1","2\r\n\n2","3""3"\n') == [("1,1", "2\r\n\n2", '3"3')]


def test_quotes_amid_an_unquoted_cell_are_text():
    assert cells('1,say "x",3"\n') == [("1", 'say "x"', '3"')]


def test_a_loaded_row_keeps_its_text_verbatim():
    assert [record.text for record in split('"1" ,2,3\r\n4,"5\n5",6\r\n')] == ['"1" ,2,3', '4,"5\n5",6']


@pytest.mark.parametrize(("line", "count"), [("1,2", 2), ("1,2,3,4", 4), ("   ", 1)])
def test_a_row_of_another_width_is_quarantined_alone(line: str, count: int):
    first, broken, last = split(f"1,2,3\n{line}\n4,5,6\n")

    assert (first.cells, last.row, last.cells) == (("1", "2", "3"), 3, ("4", "5", "6"))
    assert (broken.row, broken.cells, broken.text) == (2, None, line)
    assert broken.problem == f"the row has {count} cells but the header has 3"


@pytest.mark.parametrize("later", ["", '"quoted",5,6\n', '4,"5\n5",6\n', '4,"5",6\n'])
def test_a_quote_that_is_never_closed_costs_one_line(later: str):
    records = split('1,2,3\n"1,2,3\n7,8,9\n' + later)

    assert [record.row for record in records if record.cells is None] == [2]
    assert records[1].text == '"1,2,3'
    assert records[2].cells == ("7", "8", "9")
    assert [record.cells for record in records[3:]] == cells(later)


def test_many_quotes_that_are_never_closed_cost_a_line_each():
    records = split('"x,2,3\n' * 7 + "7,8,9\n")

    assert [record.cells for record in records[-1:]] == [("7", "8", "9")]
    assert "".join(record.text for record in records[:-1]).count("x,2,3") == 7


def test_text_after_a_closing_quote_costs_one_line():
    broken, good = split('"1"x,2,3\n4,5,6\n')

    assert broken.problem is not None
    assert broken.problem.startswith("the line cannot be split into cells")
    assert good.cells == ("4", "5", "6")


@pytest.mark.parametrize("line", ["1,2," + "x" * 10_000_000, '1,2,"' + "x" * 10_000_000])
def test_a_line_without_measure_costs_one_line(line: str):
    broken, good = split(f"{line}\n4,5,6\n")

    assert broken.problem == f"the line is longer than {LONGEST_RECORD_BYTES:,} characters"
    assert broken.text == line
    assert good.cells == ("4", "5", "6")


def test_a_nul_byte_costs_one_row_and_is_written_as_an_escape():
    broken, good = split("1,\0,3\n4,5,6\n")

    assert (broken.cells, broken.text, broken.problem) == (None, "1,\\x00,3", "the row holds a NUL byte")
    assert good.cells == ("4", "5", "6")


# The record reader against the loader, which lets DuckDB read what it can


@cache
def warehouse_in_memory() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("attach ':memory:' as published; create schema published.ml")
    prepare(connection, [NOTES])
    return connection


@dataclass(frozen=True)
class Readings:
    """The rows that the loader kept and the texts it quarantined, by row, and the record reader's records."""

    kept: dict[int, tuple[str | None, ...]]
    aside: dict[int, str]
    records: list[Record]


def read_both_ways(content: bytes, company: int) -> Readings:
    """Load the file together with `company` valid ones: DuckDB reads many files differently from one."""
    connection = warehouse_in_memory()
    with tempfile.TemporaryDirectory() as folder:
        inbox = Path(folder) / "notes"
        inbox.mkdir()
        for number in range(company):
            (inbox / f"{number}.csv").write_text(f"a,b,c\n{number},sound,file\n")
        (inbox / "at hand.csv").write_bytes(content)
        files = list_inbox(Path(folder), "notes")
        load_files(connection, NOTES, files, dt.datetime(2024, 6, 1), lambda _: None)
        records = list(read_records(files[-1], read_layout(files[-1], read_content(files[-1]), NOTES)))
    kept = connection.execute(
        "select _source_row, a, b, c from raw.notes where _source_file = 'at hand.csv' order by 1"
    ).fetchall()
    aside = connection.execute("select source_row, text from ops.rejected_rows where file = 'at hand.csv'").fetchall()
    for table in ("raw.notes", "ops.rejected_rows", "ops.batches"):
        connection.execute(f"delete from {table}")
    assert len(kept) + len(aside) == len(records)
    return Readings({row: tuple(cells) for row, *cells in kept}, dict(aside), records)


_TEXTS = st.text(
    st.one_of(
        st.sampled_from(" \",;\t|\n\r'\\#é\u2028\ufeff"),
        st.characters(exclude_categories=["Cs", "Cc"]),
    ),
    max_size=8,
)
_LINE_ENDS = st.sampled_from(["\n", "\r\n"])
_COMPANY = st.sampled_from([0, 5])


def written(cell: str, delimiter: str, quoted: bool) -> str:
    """Return a cell as some program may write it: quoted where necessary, and at random elsewhere."""
    if quoted or cell.startswith('"') or any(one in cell for one in (delimiter, "\n", "\r")):
        return '"' + cell.replace('"', '""') + '"'
    return cell


@given(
    rows=st.lists(st.tuples(*[st.tuples(_TEXTS, st.booleans())] * 3), max_size=6),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    line_end=_LINE_ENDS,
    blank_after=st.integers(0, 6),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
    ends=st.booleans(),
    company=_COMPANY,
)
@example(rows=[(("", True),) * 3], delimiter=",", line_end="\r\n", blank_after=0, mark=b"", ends=False, company=0)
@settings(deadline=None, max_examples=40)
def test_well_formed_text_is_loaded_as_the_record_reader_reads_it(
    rows: list[tuple[tuple[str, bool], ...]],
    delimiter: str,
    line_end: str,
    blank_after: int,
    mark: bytes,
    ends: bool,
    company: int,
):
    lines = [delimiter.join("abc")]
    for number, row in enumerate(rows):
        lines.append(delimiter.join(written(cell, delimiter, quoted) for cell, quoted in row))
        lines += [""] * (number == blank_after)
    content = line_end.join(lines) + line_end * ends

    readings = read_both_ways(mark + content.encode(), company)

    expected = {number: tuple(cell or None for cell, _ in row) for number, row in enumerate(rows, start=1)}
    assert {record.row: record.cells for record in readings.records} == expected
    assert (readings.kept, readings.aside) == (expected, {})


@given(
    lines=st.lists(
        st.text(st.sampled_from('ab "",,,\t|;é1'), max_size=14)
        | st.sampled_from(["1,2,3", '"1","2","3"', " ", '1, "2",3', '"1","x\ny",3', "\0,1,1", "\udcff,1,1"]),
        max_size=8,
    ),
    line_end=_LINE_ENDS,
    company=_COMPANY,
)
@example(lines=[' "x",2,3'], line_end="\n", company=0)
@example(lines=['"x" "y",2,3'], line_end="\n", company=0)
@example(lines=['1,"x" ,3'], line_end="\n", company=0)
@example(lines=["1,2,3,"], line_end="\n", company=0)
@example(lines=["1,2,3", '"4,5,6', "7,8,9"], line_end="\n", company=5)
@settings(deadline=None, max_examples=50)
def test_any_text_is_loaded_and_quarantined_as_the_record_reader_reads_it(
    lines: list[str], line_end: str, company: int
):
    content = line_end.join(["a,b,c", *lines, "last,line,here"]) + line_end

    readings = read_both_ways(content.encode("utf-8", "surrogateescape"), company)

    assert readings.kept == {record.row: record.cells for record in readings.records if record.cells is not None}
    assert readings.aside == {record.row: record.text for record in readings.records if record.cells is None}


@given(lines=st.lists(st.text(st.sampled_from('ab"",,,\n\r '), max_size=16), max_size=10))
@settings(deadline=None, max_examples=150)
def test_every_line_of_any_text_is_in_the_text_of_a_record(lines: list[str]):
    content = "\n".join(lines)

    records = split(content)

    kept = [line for record in records for line in lines_of(record.text)]
    assert kept == lines_of(content)
    assert [record.row for record in records] == list(range(1, len(records) + 1))


def lines_of(content: str) -> list[str]:
    """Return the lines that are not blank."""
    return [line for line in content.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line]


# Workbooks


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, "5"),
        (5.0, "5"),
        (5.25, "5.25"),
        (1e22, "1.00000000000000e+22"),
        (123_456_789_012_345, "123456789012345"),
        (1_234_567_890_123_450, "1.23456789012345e+15"),
        (True, "TRUE"),
        (False, "FALSE"),
        ("  x ", "  x "),
        ("#REF!", "#REF!"),
        (dt.datetime(2024, 5, 1, 6, 7, 8), "2024-05-01 06:07:08"),
        (dt.datetime(2024, 5, 1), "2024-05-01 00:00:00"),
        (dt.time(15, 7), "15:07:00"),
        (0, "0"),
        ("", None),
    ],
)
def test_a_cell_of_a_workbook_reads_as_its_export_would(tmp_path: Path, value: object, expected: str | None):
    (tmp_path / "notes").mkdir()
    workbook = openpyxl.Workbook()
    for row in (["a", "b", "c"], ["x", value, "y"]):
        workbook.active.append(row)
    workbook.save(tmp_path / "notes" / "a.xlsx")
    (file,) = list_inbox(tmp_path, "notes")

    (record,) = read_records(file, read_layout(file, read_content(file), NOTES))

    assert record.cells == ("x", expected, "y")


def test_blank_rows_of_a_workbook_are_none_and_cells_beyond_the_header_break_a_row(tmp_path: Path):
    (tmp_path / "notes").mkdir()
    workbook = openpyxl.Workbook()
    for row in (["a", "b", "c"], [None], ["1", "2", "3"], ["1", "2", "3", "4"], ["short"]):
        workbook.active.append(row)
    workbook.save(tmp_path / "notes" / "a.xlsx")
    (file,) = list_inbox(tmp_path, "notes")

    records = list(read_records(file, read_layout(file, read_content(file), NOTES)))

    assert [record.cells for record in records] == [("1", "2", "3"), None, ("short", None, None)]
    assert [record.row for record in records] == [1, 2, 3]
    assert records[1].text == '["1", "2", "3", "4"]'
