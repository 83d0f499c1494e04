"""A workbook reads as its CSV export would, and no cell or part of it can fill the memory."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from quintet.ingest import workbook as workbook_reader
from quintet.ingest.archive import WorkbookTooLargeError
from quintet.ingest.workbook import DAMAGED, sheet_rows
from quintet.limits import DEFAULT_LIMITS, Limits
from tests.unit.ingest.workbooks import SHARED, SHEET, edited, replace_cell, with_shared_texts, workbook


def cells(path: Path, limits: Limits = DEFAULT_LIMITS) -> list[dict[int, str]]:
    return [dict(row.cells) for row in sheet_rows(path, limits)]


@pytest.mark.parametrize(
    ("value", "code", "expected"),
    [
        (0.1, "0%", "10%"),
        (0.125, "0.0%", "12.5%"),
        (0.1, '0.0" %"', "0.1"),
        (0.1, "General", "0.1"),
        (7, "00000", "00007"),
        (7, "0", "7"),
        (dt.time(0, 1), "h:mm", "00:01:00"),
        (dt.datetime(2024, 5, 1, 15, 7), "yyyy-mm-dd h:mm", "2024-05-01 15:07:00"),
        (dt.date(2024, 5, 1), "yyyy-mm-dd", "2024-05-01 00:00:00"),
        (dt.timedelta(hours=26, minutes=5), "[h]:mm", "26:05:00"),
        (45413.5, "d/m/yy h:mm", "2024-05-01 12:00:00"),
        (202_400_000_123, "0.00E+00", "202400000123"),
        (2.5e15, "0", "2.50000000000000e+15"),
        (1_234_567_890_123_456_789, "0", "1.23456789012346e+18"),
        ("2.500", "@", "2.500"),
        (-1e300, "yyyy-mm-dd", "-1e+300"),
    ],
)
def test_a_cell_reads_as_its_export(tmp_path: Path, value: object, code: str, expected: str):
    path = workbook(tmp_path / "a.xlsx", ["x"], [value], formats={"A2": code})

    assert cells(path) == [{0: "x"}, {0: expected}]


def test_days_count_from_1904_where_the_workbook_says_so(tmp_path: Path):
    book = openpyxl.Workbook()
    book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    book.active.append([dt.datetime(2024, 5, 1)])
    book.save(tmp_path / "a.xlsx")

    assert cells(tmp_path / "a.xlsx") == [{0: "2024-05-01 00:00:00"}]


def test_texts_within_the_sheet_and_shared_texts_of_several_pieces_are_joined(tmp_path: Path):
    path = with_shared_texts(tmp_path / "a.xlsx", "<si><r><t>sha</t></r><r><t>red</t></r><rPh><t>x</t></rPh></si>")
    inline = '<c r="B1" t="inlineStr"><is><r><t>in </t></r><r><t>line</t></r></is></c></row>'
    edited(path, SHEET, lambda text: text.replace("</row>", inline))

    assert cells(path) == [{0: "shared", 1: "in line"}]


def test_cells_without_a_reference_follow_one_another(tmp_path: Path):
    path = workbook(tmp_path / "a.xlsx", ["x"], [1])
    edited(
        path,
        SHEET,
        lambda text: re.sub(r"<row r=.2.*?</row>", "<row><c/><c><v>1</v></c><c/><c><v>2</v></c></row>", text),
    )

    assert cells(path) == [{0: "x"}, {1: "1", 3: "2"}]


@pytest.mark.parametrize("shown", ["<v/>", "<v></v>", ""])
def test_a_formula_without_a_saved_value_is_named(tmp_path: Path, shown: str):
    path = workbook(tmp_path / "a.xlsx", ["x", "y"], [1, "=1+1"])
    edited(path, SHEET, lambda text: re.sub(r"<f>1\+1</f><v ?/>|<f>1\+1</f><v></v>", f"<f>1+1</f>{shown}", text))

    assert [row.unvalued for row in sheet_rows(path, DEFAULT_LIMITS)] == [(), ("B2",)]


def test_a_formula_with_a_saved_value_is_that_value(tmp_path: Path):
    path = workbook(tmp_path / "a.xlsx", ["x", "y"], [1, "=1+1"])
    edited(path, SHEET, lambda text: re.sub(r"(<f>1\+1</f>)(<v ?/>|<v></v>)", r"\1<v>2</v>", text))

    rows = list(sheet_rows(path, DEFAULT_LIMITS))
    assert [(dict(row.cells), row.unvalued) for row in rows] == [({0: "x", 1: "y"}, ()), ({0: "1", 1: "2"}, ())]


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
SMALL = Limits(
    unpacked_bytes=200_000, rows=100, columns=10, line_bytes=5_000, cell_bytes=1_000, shared_text_bytes=5_000
)


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        (SHEET, replace_cell("ZZZ1"), r"has a cell in column ZZZ \(18,278\); the limit is 10 columns"),
        (SHEET, replace_cell("XFD1"), r"has a cell in column XFD \(16,384\)"),
        (SHEET, lambda text: text.replace('<row r="1"', '<row r="2000000000"', 1), "has a row 2,000,000,000"),
        (SHEET, lambda text: text.replace("</sheetData>", "<row/>" * 200 + "</sheetData>"), "the limit is 101 rows"),
        (SHEET, lambda text: text.replace("</sheetData>", "</sheetData>" + " " * 300_000), "unpacks to more than"),
        (SHEET, lambda text: text.replace("<sheetData>", f'<sheetData x="{"y" * 150_000}">'), "has a tag longer than"),
        (SHEET, lambda text: text.replace("<t>x", f"<t>{'x' * 2_000}"), "has a cell longer than 1,000"),
    ],
)
def test_a_workbook_beyond_a_limit_is_an_error(tmp_path: Path, part: str, change: Callable[[str], str], message: str):
    path = workbook(tmp_path / "a.xlsx", ["x"], ["y"])
    assert len(cells(path, SMALL)) == 2

    with pytest.raises(WorkbookTooLargeError, match=message):
        cells(edited(path, part, change), SMALL)


@pytest.mark.parametrize("texts", ["<si/>" * 200, f"<si><t>{'x' * 9_000}</t></si>"])
def test_too_many_shared_texts_are_an_error(tmp_path: Path, texts: str):
    path = with_shared_texts(tmp_path / "a.xlsx", "<si><t>x</t></si>" + texts)
    assert cells(path) == [{0: "x"}]

    with pytest.raises(WorkbookTooLargeError, match="has more than 5,000 bytes of shared texts"):
        cells(path, SMALL)


@pytest.mark.parametrize("part", [SHEET, "xl/workbook.xml", SHARED, "xl/styles.xml"])
def test_a_document_type_is_refused(tmp_path: Path, part: str):
    path = with_shared_texts(tmp_path / "a.xlsx", "<si><t>x</t></si>")
    edited(path, part, lambda text: LAUGHS + re.sub(r"<\?xml.*?\?>", "", text))

    with pytest.raises(DAMAGED, match="declares a document type"):
        cells(path)


def test_a_part_of_too_many_elements_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = workbook(tmp_path / "a.xlsx", ["x"])
    edited(path, "xl/styles.xml", lambda text: text.replace("</styleSheet>", "<x/>" * 2_000 + "</styleSheet>"))
    assert cells(path) == [{0: "x"}]
    monkeypatch.setattr(workbook_reader, "_PART_ELEMENTS", 2_000)

    with pytest.raises(WorkbookTooLargeError, match=r"has more than 2,000 elements in xl/styles.xml"):
        cells(path)


def test_a_row_that_repeats_its_cells_is_an_error(tmp_path: Path):
    path = workbook(tmp_path / "a.xlsx", ["x"], [1])
    repeated = '<c r="A2"><v>2</v></c></row></sheetData>'
    edited(path, SHEET, lambda text: text.replace("</row></sheetData>", repeated))
    with pytest.raises(DAMAGED, match="it has cell A2 twice"):
        cells(path)

    formulas = '<c r="A2"><f>1</f></c>' * 11 + "</row></sheetData>"
    edited(path, SHEET, lambda text: text.replace(repeated, formulas))
    with pytest.raises(WorkbookTooLargeError, match="has more than 10 cells in row 2"):
        cells(path, SMALL)


@pytest.mark.parametrize("number", [-1, 1])
def test_a_shared_text_that_is_not_there_is_an_error(tmp_path: Path, number: int):
    path = with_shared_texts(tmp_path / "a.xlsx", "<si><t>x</t></si>")
    assert cells(path) == [{0: "x"}]
    edited(path, SHEET, lambda text: text.replace("<v>0</v>", f"<v>{number}</v>"))

    with pytest.raises(DAMAGED):
        cells(path)


def test_a_far_cell_within_the_limit_costs_nothing(tmp_path: Path):
    path = edited(workbook(tmp_path / "a.xlsx", ["x"]), SHEET, replace_cell("XFD1"))

    assert cells(path, replace(DEFAULT_LIMITS, columns=16_384)) == [{16_383: "x"}]


# Loaded


HEADER: list[object] = ["order_id", "ordered_at", "amount", "pieces"]


def test_times_and_days_of_a_workbook_are_loaded(shop: Any):
    workbook(shop.inbox / "a.xlsx", HEADER, [1, dt.datetime(2024, 5, 1, 12), 1.125, 1], [2, dt.date(2024, 5, 1), 1, 2])
    shop.load()

    assert [at for _, at, *_ in shop.rows()] == ["2024-05-01 12:00:00", "2024-05-01 00:00:00"]


@pytest.mark.parametrize(
    ("cell", "is_loaded"), [("1.250", False), (1.25, True), (1.125, True), ("1.25", True), ("7", True)]
)
def test_a_number_stored_as_text_is_read_unless_it_may_be_another(shop: Any, cell: object, is_loaded: bool):
    workbook(shop.inbox / "a.xlsx", HEADER, [1, "2024-05-01", cell, 1])
    shop.load()

    assert bool(shop.rows()) == is_loaded
    assert [reason for _, reason, _ in shop.rejected()] == (
        [] if is_loaded else ["'1.250' is stored as text and may be 1.250 or 1250: store a number"]
    )


@pytest.mark.parametrize(
    ("cell", "code", "reason"),
    [
        ("=1+1", "General", "the formula in cell C2 has no saved value: open the workbook, recalculate it and save it"),
        (0.1, "0%", "amount must be a number of at least 0 (a point for decimals, no thousands separator), not '10%'"),
    ],
)
def test_a_cell_that_has_no_value_of_its_own_breaks_its_row(shop: Any, cell: object, code: str, reason: str):
    rows = [HEADER, [1, "2024-05-01", cell, 1], [2, "2024-05-01", 5, 1]]
    workbook(shop.inbox / "a.xlsx", *rows, formats={"C2": code})
    shop.load()

    assert shop.rows("order_id") == [("2",)]
    assert shop.rejected()[0][1].startswith(reason)


@pytest.mark.parametrize("value", [2.024e18, 9_007_199_254_740_993])
def test_an_id_of_more_digits_than_a_workbook_keeps_is_quarantined(shop: Any, value: object):
    workbook(shop.inbox / "a.xlsx", HEADER, [value, "2024-05-01", 1, 1], [2, "2024-05-01", 1, 1])
    shop.load()

    assert shop.rows("order_id") == [("2",)]
    assert "shortened by a spreadsheet" in shop.rejected()[0][1]
