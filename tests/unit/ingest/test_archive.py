"""Archives whose directory is huge, ambiguous or lies are refused with a reason, before they cost anything."""

from __future__ import annotations

import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from quintet.ingest import archive as archives
from quintet.ingest.archive import MOST_DIRECTORY_BYTES, WorkbookTooLargeError, open_archive, open_part
from quintet.ingest.workbook import DAMAGED, sheet_rows
from quintet.limits import DEFAULT_LIMITS
from tests.unit.ingest.workbooks import SHEET, workbook

_MEMBER_BYTES = 46


def with_members(path: Path, count: int) -> Path:
    """Add empty members to a workbook, each with a name of 20 characters."""
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(count):
            archive.writestr(f"xl/media/{number:011}", b"")
    return path


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return workbook(tmp_path / "a.xlsx", ["x"], [1])


def test_a_directory_within_the_limit_is_read(book: Path) -> None:
    with_members(book, 3_000)

    assert len(list(sheet_rows(book, DEFAULT_LIMITS))) == 2


def test_a_directory_beyond_the_limit_is_refused_before_it_is_read(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_members(book, MOST_DIRECTORY_BYTES // (_MEMBER_BYTES + 20))
    members: list[object] = []
    monkeypatch.setattr(zipfile, "ZipInfo", lambda *given, **_: members.append(given))

    with pytest.raises(WorkbookTooLargeError, match="has a directory of parts larger than 1,000,000 bytes"):
        list(sheet_rows(book, DEFAULT_LIMITS))
    assert members == []


@pytest.mark.parametrize("name", [SHEET, SHEET.upper()])
def test_two_members_of_one_name_are_refused(book: Path, name: str) -> None:
    with zipfile.ZipFile(book, "a") as archive, warnings.catch_warnings(action="ignore"):
        archive.writestr(name, "<worksheet/>")

    with pytest.raises(DAMAGED, match=f"more than one part {SHEET}"):
        list(sheet_rows(book, DEFAULT_LIMITS))


def claim(size: int) -> Callable[[bytes], bytes]:
    """Return a function that changes the unpacked size of the sheet in the directory."""

    def change(content: bytes) -> bytes:
        place = content.rindex(SHEET.encode()) - _MEMBER_BYTES
        assert content[place : place + 4] == b"PK\1\2"
        return content[: place + 24] + struct.pack("<I", size) + content[place + 28 :]

    return change


@pytest.mark.parametrize("size", [10, 400])
def test_a_sheet_that_is_longer_or_shorter_than_it_claims_is_refused(book: Path, size: int) -> None:
    book.write_bytes(claim(size)(book.read_bytes()))

    with pytest.raises(DAMAGED):
        list(sheet_rows(book, DEFAULT_LIMITS))


def test_a_part_that_claims_more_than_the_limit_is_not_opened(book: Path) -> None:
    with open_archive(book) as archive, pytest.raises(WorkbookTooLargeError, match="more than 100 bytes"):
        open_part(archive, SHEET, 100)


def test_a_directory_that_claims_to_be_huge_is_not_read(book: Path) -> None:
    content = book.read_bytes()
    end = content.rindex(b"PK\5\6")
    book.write_bytes(content[: end + 12] + struct.pack("<I", 2**31) + content[end + 16 :])

    with pytest.raises((WorkbookTooLargeError, *DAMAGED)):
        list(sheet_rows(book, DEFAULT_LIMITS))


def test_a_nested_archive_is_not_opened(book: Path, tmp_path: Path) -> None:
    inner = with_members(workbook(tmp_path / "inner.xlsx", ["y"]), 20_000)
    with zipfile.ZipFile(book, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/embeddings/inner.xlsx", inner.read_bytes())

    assert [dict(row.cells) for row in sheet_rows(book, DEFAULT_LIMITS)] == [{0: "x"}, {0: "1"}]


def test_the_limit_is_far_above_what_a_workbook_needs(book: Path) -> None:
    with open_archive(book) as archive:
        assert 100 * len(archive.namelist()) * (_MEMBER_BYTES + 60) < archives.MOST_DIRECTORY_BYTES
