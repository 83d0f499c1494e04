"""Workbooks for the tests of ingestion, and their parts with changes that Excel would not write."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl

SHEET = "xl/worksheets/sheet1.xml"
SHARED = "xl/sharedStrings.xml"


def workbook(path: Path, *rows: list[object], formats: dict[str, str] | None = None) -> Path:
    """Write a workbook; `formats` are the number formats by cell."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for cell, code in (formats or {}).items():
        book.active[cell].number_format = code
    book.save(path)
    return path


def edited(path: Path, part: str, change: Callable[[str], str]) -> Path:
    """Change the text of a part of the workbook."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[part] = change(parts.get(part, b"").decode()).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def with_shared_texts(path: Path, texts: str) -> Path:
    """Write a workbook whose only cell refers to the first of these shared texts."""
    workbook(path, [5])
    edited(path, SHEET, lambda text: re.sub(r'<c r="A1"[^>]*><v>5</v>', '<c r="A1" t="s"><v>0</v>', text))
    relation = '<Relationship Type="x/sharedStrings" Target="sharedStrings.xml" Id="rIdTexts"/></Relationships>'
    edited(path, "xl/_rels/workbook.xml.rels", lambda text: text.replace("</Relationships>", relation))
    namespace = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return edited(path, SHARED, lambda _: f'<sst xmlns="{namespace}">{texts}</sst>')


def replace_cell(reference: str) -> Callable[[str], str]:
    return lambda text: text.replace('<c r="A1"', f'<c r="{reference}"', 1)
