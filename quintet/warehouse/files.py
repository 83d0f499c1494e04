"""What is inside a file: its format, its fingerprint, its dialect and its header, held against a contract.

Belongs here: everything that must be known before the first row is read, and the messages for files that cannot be
read at all. Reading rows belongs in `load.py` (in bulk) and `records.py` (row by row, forgiving).
"""

from __future__ import annotations

import codecs
import csv
import difflib
import gzip
import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import openpyxl
import pyarrow
import pyarrow.parquet
from openpyxl.utils.exceptions import InvalidFileException

from quintet.warehouse.contract import Dataset, fold_header
from quintet.warehouse.inbox import InboxFile

FORMATS = {".csv": "csv", ".csv.gz": "csv", ".xlsx": "xlsx", ".parquet": "parquet"}
DELIMITERS = (",", ";", "\t", "|")
LONGEST_RECORD_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 20
_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffd]")
_DELIMITER_BYTES = tuple(delimiter.encode() for delimiter in DELIMITERS)


class FileRejectedError(Exception):
    """A file that cannot be read as its dataset; the message says what, where and how to mend it."""


@dataclass(frozen=True)
class Layout:
    """How a file is laid out.

    titles: the file's own column names by position.
    header: the contract's names for them, None for an unknown column.
    encoding: a Python codec; delimiter: one character (both only for CSV).
    plain: whether a strict bulk reader may try it.
    """

    format: str
    titles: tuple[str, ...]
    header: tuple[str | None, ...]
    encoding: str = "utf-8"
    delimiter: str = ","
    plain: bool = True

    @property
    def extra(self) -> dict[int, str]:
        """The unknown columns' names by position."""
        return {index: title for index, title in enumerate(self.titles) if self.header[index] is None}

    @property
    def present(self) -> tuple[str, ...]:
        """The contract's columns that the file has."""
        return tuple(name for name in self.header if name is not None)


@dataclass(frozen=True)
class Content:
    """What one pass over the bytes of a file tells.

    sha256: of the text, unpacked where the file is gzip, so that packing does not make new content.
    is_utf8: whether all of it is UTF-8; has_multibyte: whether some of it is UTF-8 beyond ASCII.
    needs_care: whether it holds what a strict bulk reader drops: NUL bytes, or spaces between quote and delimiter.
    head: the first block.
    """

    sha256: str
    is_utf8: bool
    has_multibyte: bool
    needs_care: bool
    head: bytes


def format_of(file: InboxFile) -> str:
    """csv, xlsx or parquet, by the name; raises FileRejectedError for any other."""
    lowered = file.name.lower()
    for suffix, kind in FORMATS.items():
        if lowered.endswith(suffix):
            return kind
    raise FileRejectedError(
        f"{file.name} is of a kind that is not read here. Save it as one of {', '.join(FORMATS)} and drop it again."
    )


def open_bytes(path: Path) -> BinaryIO:
    """The file's bytes, unpacked where the name ends in .gz."""
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rb")  # type: ignore[return-value]  # a GzipFile reads like any binary file
    return path.open("rb")


def read_content(file: InboxFile) -> Content:
    """Hash the file and look at its bytes; raises FileRejectedError where they cannot be had."""
    if file.path.is_dir():
        raise FileRejectedError(f"{file.name} is a folder. Put the files themselves into the inbox.")
    if not file.path.exists():
        raise FileRejectedError(f"{file.name} is a link that points to nothing. Put the file itself into the inbox.")
    if not file.path.is_file():
        raise FileRejectedError(f"{file.name} is not a regular file. Put a plain file into the inbox.")
    digest, decoder = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")()
    is_utf8, has_multibyte, needs_care, head = True, False, False, b""
    try:
        with open_bytes(file.path) as stream:
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
                head = head or block
                needs_care = needs_care or _needs_care(block)
                if is_utf8 and not block.isascii():
                    is_utf8 = _decodes(decoder, block)
                    has_multibyte = has_multibyte or is_utf8 or _any_line_is_multibyte(block)
        is_utf8 = is_utf8 and _decodes(decoder, b"", final=True)
    except PermissionError as error:
        raise FileRejectedError(
            f"{file.name} may not be read by this user. Give read permission (chmod a+r) and run again."
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileRejectedError(
            f"{file.name} is a damaged or truncated gzip file ({error}). Copy it again, whole, into the inbox."
        ) from error
    if not head:
        raise FileRejectedError(f"{file.name} is empty (0 bytes). Write it again with a header line.")
    return Content(digest.hexdigest(), is_utf8, has_multibyte, needs_care, head)


def _needs_care(block: bytes) -> bool:
    if b"\0" in block:
        return True
    # Searching the two literals and then looking around each hit is five times as fast as one pattern.
    opened = (block[max(at - 64, 0) : at + 1].rstrip(b" ")[-1:] for at in _positions(block, b' "'))
    closed = (block[at + 1 : at + 65].lstrip(b" ")[:1] for at in _positions(block, b'" '))
    return any(before in _DELIMITER_BYTES for before in opened) or any(
        after in (*_DELIMITER_BYTES, b"\r", b"\n") for after in closed
    )


def _positions(block: bytes, literal: bytes) -> Iterator[int]:
    at = block.find(literal)
    while at >= 0:
        yield at
        at = block.find(literal, at + 1)


def _decodes(decoder: codecs.IncrementalDecoder, block: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return False
    return True


def _any_line_is_multibyte(block: bytes) -> bool:
    """Whether some whole line of a block that is not UTF-8 as a whole is UTF-8 beyond ASCII all the same."""
    return any(
        _decodes(codecs.getincrementaldecoder("utf-8")(), line, final=True)
        for line in block.split(b"\n")
        if not line.isascii()
    )


def read_layout(file: InboxFile, content: Content, dataset: Dataset) -> Layout:
    """The file's layout held against the contract; raises FileRejectedError where it does not fit."""
    kind = format_of(file)
    if kind == "csv":
        layout = _csv_layout(file, content, dataset)
    elif kind == "xlsx":
        layout = _layout(file, next(_open_sheet(file), ()), dataset, "xlsx")
    else:
        layout = _layout(file, _parquet_header(file), dataset, "parquet")
    if dataset.day_from_name and "timestamp" not in layout.present:
        _require_day_in_name(file)
    return layout


def _require_day_in_name(file: InboxFile) -> None:
    if file.date_in_name is None and file.number_in_name is None:
        raise FileRejectedError(
            f"{file.name} does not say of which day it is: its rows have no date. Put a date (2024-05-01) or a running "
            "number (1, 2, ...) into the file's name."
        )


def _csv_layout(file: InboxFile, content: Content, dataset: Dataset) -> Layout:
    encoding = _encoding(content)
    head = content.head.decode(encoding, errors="replace").lstrip("\ufeff")
    if "\0" in head.split("\n", 1)[0] or _looks_binary(head):
        raise FileRejectedError(
            f"{file.name} is not text (it holds bytes that no table of text has). Export it as CSV, or give it the "
            "ending of its real format (.xlsx, .parquet, .csv.gz)."
        )
    first_line = head.split("\n", 1)[0]
    if len(first_line) >= LONGEST_RECORD_BYTES - 1:
        raise FileRejectedError(
            f"{file.name} has no header: its first line is longer than {LONGEST_RECORD_BYTES:,} bytes. Write one line "
            "of column names, then one line a row."
        )
    headers = {delimiter: _first_record(head, delimiter) for delimiter in DELIMITERS}
    aliases = dataset.aliases
    delimiter = max(DELIMITERS, key=lambda one: sum(fold_header(name) in aliases for name in headers[one]))
    return _layout(file, headers[delimiter], dataset, "csv", encoding, delimiter, content)


def _encoding(content: Content) -> str:
    if content.head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if content.is_utf8:
        return "utf-8-sig" if content.head.startswith(codecs.BOM_UTF8) else "utf-8"
    if content.has_multibyte:  # UTF-8 with some broken bytes: the rows that hold them are set aside, the others kept
        return "utf-8"
    # Western single-byte text: Windows-1252 wherever all its bytes are assigned, else Latin-1, which takes any byte.
    return "latin-1" if any(byte in content.head for byte in b"\x81\x8d\x8f\x90\x9d") else "cp1252"


def _looks_binary(head: str) -> bool:
    start = head[:4096]
    return len(_NOT_TEXT.findall(start)) > len(start) / 20


def _first_record(head: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(head, newline=""), delimiter=delimiter), [])
    except csv.Error:  # such as a field beyond csv's limit: under this delimiter there is no header
        return []


def _open_sheet(file: InboxFile) -> Iterator[tuple[object, ...]]:
    try:
        workbook = openpyxl.load_workbook(file.path, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, OSError, ValueError) as error:
        raise FileRejectedError(
            f"{file.name} is not a readable workbook ({error}). Save it again as .xlsx without a password."
        ) from error
    sheet = workbook.worksheets[0]
    sheet.reset_dimensions()  # some writers leave a dimension that is too small
    return sheet.iter_rows(values_only=True)


def sheet_rows(file: InboxFile) -> Iterator[tuple[object, ...]]:
    """The rows of the first sheet below its header, as Python values."""
    rows = _open_sheet(file)
    next(rows, None)
    return rows


def _parquet_header(file: InboxFile) -> list[str]:
    try:
        return pyarrow.parquet.read_schema(file.path).names
    except (pyarrow.ArrowException, OSError) as error:
        raise FileRejectedError(
            f"{file.name} is not a readable Parquet file ({error}). It may have been cut short: write it again."
        ) from error


def _layout(
    file: InboxFile,
    names: Sequence[object],
    dataset: Dataset,
    kind: str,
    encoding: str = "utf-8",
    delimiter: str = ",",
    content: Content | None = None,
) -> Layout:
    titles = ["" if name is None else str(name).strip() for name in names]
    while titles and not titles[-1] and kind == "xlsx":  # empty columns at the right of a sheet
        titles.pop()
    if not any(titles):
        raise FileRejectedError(
            f"{file.name} has no header. The first line must name the columns: {', '.join(dataset.columns)}."
        )
    folded = [fold_header(title) for title in titles]
    repeated = sorted({title for title, fold in zip(titles, folded, strict=True) if folded.count(fold) > 1 and fold})
    header = tuple(dataset.aliases.get(fold) for fold in folded)
    doubled = sorted({name for name in header if name is not None and header.count(name) > 1})
    if repeated or doubled:
        raise FileRejectedError(
            f"{file.name} has more than one column {', '.join(repeated or doubled)}. Keep one and drop it again."
        )
    _require_columns(file, titles, header, dataset)
    return Layout(
        format=kind,
        titles=tuple(title or f"column_{position}" for position, title in enumerate(titles, start=1)),
        header=header,
        encoding=encoding,
        delimiter=delimiter,
        plain=content is None or (content.is_utf8 and not content.needs_care),
    )


def _require_columns(file: InboxFile, titles: Sequence[str], header: Sequence[str | None], dataset: Dataset) -> None:
    lacking = [name for name, column in dataset.schema.columns.items() if column.required and name not in header]
    lacking += [" or ".join(group) for group in dataset.one_of_groups if not set(group) & set(header)]
    if not lacking:
        return
    unknown = [title for title, name in zip(titles, header, strict=True) if name is None]
    hints = []
    for name in lacking:
        close = difflib.get_close_matches(name, [fold_header(title) for title in unknown], n=1)
        if close:
            hints.append(f"rename '{close[0]}' to '{name}'")
    shown = ", ".join(titles)[:300]
    raise FileRejectedError(
        f"{file.name} lacks the required column{'s' * (len(lacking) > 1)} {', '.join(lacking)}; its header (line 1) "
        f"reads: {shown}. {'Perhaps ' + ' and '.join(hints) + '. ' if hints else ''}Columns must be separated by a "
        "comma, a semicolon, a tab or a vertical bar."
    )
