"""Sheets of a workbook: rows of typed cells, formulas as text, and bytes without times."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import openpyxl
import pytest

from quintet.insurance.workbook_sheets import BODY, HEADLINE, Sheet, UndatedZip


def saved(*rows: list[tuple[object, str, object]]) -> openpyxl.worksheet.worksheet.Worksheet:
    workbook = openpyxl.Workbook(write_only=True)
    sheet = Sheet(workbook, "One", [10, 20], "foot")
    for row in rows:
        sheet.append(row)  # type: ignore[arg-type]
    assert sheet.rows == len(rows)
    file = io.BytesIO()
    workbook.save(file)
    return openpyxl.load_workbook(file)["One"]


@pytest.mark.parametrize(
    ("kind", "number_format", "horizontal"),
    [
        ("money", "#,##0.00", "right"),
        ("percent", "0.0%", "right"),
        ("count", "#,##0", "right"),
        ("text", "General", "left"),
    ],
)
def test_a_cell_has_the_format_and_the_side_of_its_kind(kind: str, number_format: str, horizontal: str) -> None:
    cell = saved([(1.5, kind, BODY)])["A1"]

    assert (cell.value, cell.number_format, cell.alignment.horizontal) == (1.5, number_format, horizontal)


@pytest.mark.parametrize(("text", "written"), [("=1+1", "'=1+1"), ("plain", "plain")])
def test_a_text_like_a_formula_stays_a_text(text: str, written: str) -> None:
    assert saved([(text, "text", BODY)])["A1"].value == written


def test_one_style_serves_each_cell_of_a_column_without_mixing_values() -> None:
    sheet = saved([(1, "count", BODY), ("a", "text", BODY)], [(2, "count", BODY), ("b", "text", HEADLINE)])

    assert [[cell.value for cell in row] for row in sheet.rows] == [[1, "a"], [2, "b"]]
    assert sheet["B2"].font.size == 20
    assert sheet["B1"].font.size == 11


def test_equal_content_has_equal_bytes(tmp_path: Path) -> None:
    (tmp_path / "part.xml").write_text("<a/>")

    def packed() -> bytes:
        file = io.BytesIO()
        with UndatedZip(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("b.xml", "<b/>")
            archive.write(tmp_path / "part.xml", "part.xml")
        return file.getvalue()

    first = packed()
    (tmp_path / "part.xml").touch()
    assert packed() == first
    assert {entry.date_time for entry in zipfile.ZipFile(io.BytesIO(first)).infolist()} == {(1980, 1, 1, 0, 0, 0)}
