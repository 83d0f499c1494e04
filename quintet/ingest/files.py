"""Inspect a file: its format, content hash, dialect and header, checked against a contract."""

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
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import openpyxl
import pyarrow
import pyarrow.parquet
from openpyxl.utils.exceptions import InvalidFileException

from quintet.ingest.contract import Dataset, fold_header
from quintet.ingest.inbox import InboxFile

FORMATS = {".csv": "csv", ".csv.gz": "csv", ".xlsx": "xlsx", ".parquet": "parquet"}
DELIMITERS = (",", ";", "\t", "|")
LONGEST_RECORD_BYTES = 2_000_000
"""The limit of DuckDB's reader, so that the record reader accepts every record that the bulk reader accepts."""

_BLOCK_BYTES = 1 << 20
_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffd]")
_LINE_END = re.compile("[\r\n]")
_TWO_QUOTED_TEXTS = re.compile(b'" +"')
# Errors of zipfile, openpyxl and the XML parser underneath (both of Python's raise syntax errors).
_DAMAGED_WORKBOOK = (
    *(InvalidFileException, zipfile.BadZipFile, zlib.error, SyntaxError),
    *(EOFError, OSError, LookupError, ValueError, TypeError, AttributeError),
)


class FileRejectedError(Exception):
    """A file cannot be read as its dataset; the message says what is wrong, where, and how to fix it."""


@dataclass(frozen=True)
class Layout:
    """The layout of a file.

    titles: the file's column names by position.
    header: the contract's names for them, None for an unknown column.
    encoding: a Python codec; delimiter: one character (both only for CSV).
    header_bytes: the `text_bytes` of the header (only for CSV).
    types: the columns' original names and types (only for Parquet): files that differ in them are not read together.
    plain: whether the strict bulk reader may try it.
    """

    format: str
    titles: tuple[str, ...]
    header: tuple[str | None, ...]
    encoding: str = "utf-8"
    delimiter: str = ","
    header_bytes: int = 0
    types: tuple[str, ...] = ()
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
    """The findings of one pass over the bytes of a file.

    sha256: of the text, unpacked if the file is gzip, so that packing does not make new content.
    is_utf8: whether all of it is UTF-8; has_multibyte: whether some of it is UTF-8 beyond ASCII.
    needs_care: whether it has what DuckDB's reader wrongly accepts: NUL bytes, or two quoted texts in a cell.
    text_bytes: the number of bytes of its cells and delimiters (see `text_bytes`), without a byte order mark.
    head: the first block.
    """

    sha256: str
    is_utf8: bool
    has_multibyte: bool
    needs_care: bool
    text_bytes: int
    head: bytes


def format_of(file: InboxFile) -> str:
    """Return csv, xlsx or parquet, by the file's name. Raises FileRejectedError for any other ending."""
    lowered = file.name.lower()
    for suffix, kind in FORMATS.items():
        if lowered.endswith(suffix):
            return kind
    raise FileRejectedError(
        f"{file.name} has an unsupported format. Save it as one of {', '.join(FORMATS)} and drop it again."
    )


def open_bytes(path: Path) -> BinaryIO:
    """Open the file's bytes for reading, unpacked if the name ends in .gz."""
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rb")  # type: ignore[return-value]  # a GzipFile reads like any binary file
    return path.open("rb")


def read_content(file: InboxFile) -> Content:
    """Hash the file and inspect its bytes. Raises FileRejectedError if they cannot be read."""
    if not is_unicode(str(file.path)):
        raise FileRejectedError(f"{file.name} has a name that is not UTF-8. Give it another name.")
    if file.path.is_dir():
        raise FileRejectedError(f"{file.name} is a folder. Put the files themselves into the inbox.")
    if not file.path.exists():
        raise FileRejectedError(f"{file.name} is a link that points to nothing. Put the file itself into the inbox.")
    if not file.path.is_file():
        raise FileRejectedError(f"{file.name} is not a regular file. Put a plain file into the inbox.")
    digest, decoder = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")()
    is_utf8, has_multibyte, needs_care, length, head = True, False, False, 0, b""
    try:
        with open_bytes(file.path) as stream:
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
                head = head or block
                length += text_bytes(block)
                needs_care = needs_care or b"\0" in block or _TWO_QUOTED_TEXTS.search(block) is not None
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
    length -= len(codecs.BOM_UTF8) * head.startswith(codecs.BOM_UTF8)
    return Content(digest.hexdigest(), is_utf8, has_multibyte, needs_care, length, head)


def is_unicode(text: str) -> bool:
    """Return whether the text can be encoded as UTF-8; text with undecodable bytes cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def text_bytes(content: bytes) -> int:
    """Return the number of bytes without quotation marks and line ends, in which CSV writers differ."""
    return len(content.translate(None, b'"\r\n'))


def _decodes(decoder: codecs.IncrementalDecoder, block: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return False
    return True


def _any_line_is_multibyte(block: bytes) -> bool:
    """Return whether any whole line of a block that is not valid UTF-8 is itself valid UTF-8 beyond ASCII."""
    return any(
        _decodes(codecs.getincrementaldecoder("utf-8")(), line, final=True)
        for line in block.split(b"\n")
        if not line.isascii()
    )


def read_layout(file: InboxFile, content: Content, dataset: Dataset) -> Layout:
    """Return the file's layout, checked against the contract. Raises FileRejectedError if it does not fit."""
    kind = format_of(file)
    if kind == "csv":
        layout = _csv_layout(file, content, dataset)
    elif kind == "xlsx":
        layout = _layout(file, next(_sheet(file), ()), dataset, "xlsx")
    else:
        layout = _parquet_layout(file, dataset)
    if dataset.day_from_name and "timestamp" not in layout.present:
        _require_day_in_name(file)
    return layout


def _require_day_in_name(file: InboxFile) -> None:
    if file.date_in_name is None and file.number_in_name is None:
        raise FileRejectedError(
            f"{file.name} does not say of which day it is: its rows have no date. Add a date (2024-05-01) or a running "
            "number (1, 2, ...) to the file's name."
        )


def _csv_layout(file: InboxFile, content: Content, dataset: Dataset) -> Layout:
    encoding = _encoding(content)
    head = content.head.decode(encoding, errors="replace").lstrip("\ufeff")
    first_line = _LINE_END.split(head, maxsplit=1)[0]
    if "\0" in first_line or _looks_binary(head):
        raise FileRejectedError(
            f"{file.name} is not text (it has bytes that do not occur in text). Export it as CSV, or give it the "
            "ending of its real format (.xlsx, .parquet, .csv.gz)."
        )
    if first_line == head and len(content.head) >= _BLOCK_BYTES:
        raise FileRejectedError(
            f"{file.name} has no header: its first line is longer than {_BLOCK_BYTES:,} bytes. Write one line "
            "of column names, then one line for each row."
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
    if content.has_multibyte:  # UTF-8 with some broken bytes: the rows with them are quarantined, the others kept
        return "utf-8"
    # Western single-byte text: Windows-1252 if all bytes are assigned in it, else Latin-1, which accepts any byte.
    return "latin-1" if any(byte in content.head for byte in b"\x81\x8d\x8f\x90\x9d") else "cp1252"


def _looks_binary(head: str) -> bool:
    start = head[:4096]
    return len(_NOT_TEXT.findall(start)) > max(len(start) / 20, 8)


def _first_record(head: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(head, newline=""), delimiter=delimiter, strict=True), [])
    except csv.Error:  # such as a quotation mark that is never closed: with this delimiter there is no header
        return []


def _sheet(file: InboxFile) -> Iterator[tuple[object, ...]]:
    try:
        with closing(openpyxl.load_workbook(file.path, read_only=True, data_only=True)) as workbook:
            sheet = workbook.worksheets[0]
            sheet.reset_dimensions()  # some writers record too small a dimension
            yield from sheet.iter_rows(values_only=True)
    except _DAMAGED_WORKBOOK as error:
        raise FileRejectedError(
            f"{file.name} is not a readable workbook ({error}). Save it again as .xlsx without a password."
        ) from error


def sheet_rows(file: InboxFile) -> Iterator[tuple[object, ...]]:
    """Return the rows of the first sheet below its header as Python values. Raises FileRejectedError if damaged."""
    return islice(_sheet(file), 1, None)


def _parquet_layout(file: InboxFile, dataset: Dataset) -> Layout:
    try:
        schema = pyarrow.parquet.read_schema(file.path)
    except (pyarrow.ArrowException, OSError) as error:
        raise damaged_parquet(file, error) from error
    types = tuple(f"{field.name} {field.type}" for field in schema)
    return replace(_layout(file, schema.names, dataset, "parquet"), types=types)


def damaged_parquet(file: InboxFile, error: Exception) -> FileRejectedError:
    """Return the error for a Parquet file whose schema or pages cannot be read."""
    return FileRejectedError(
        f"{file.name} is not a readable Parquet file ({str(error)[:200]}). It may have been cut short: write it again."
    )


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
    while titles and not titles[-1] and kind == "xlsx":  # empty columns on the right of a sheet
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
        header_bytes=text_bytes(delimiter.join(map(str, names)).encode()) if content else 0,
        plain=content is None or (content.is_utf8 and not content.needs_care),
    )


def _require_columns(file: InboxFile, titles: Sequence[str], header: Sequence[str | None], dataset: Dataset) -> None:
    lacking = [name for name, column in dataset.schema.columns.items() if column.required and name not in header]
    lacking += [" or ".join(group) for group in dataset.one_of_groups if not set(group) & set(header)]
    if not lacking:
        return
    unknown = {fold_header(title): title for title, name in zip(titles, header, strict=True) if name is None}
    hints = []
    for name in lacking:
        close = difflib.get_close_matches(name, unknown, n=1)
        if close:
            hints.append(f"rename '{unknown[close[0]]}' to '{name}'")
    shown = ", ".join(titles)[:300]
    raise FileRejectedError(
        f"{file.name} lacks the required column{'s' * (len(lacking) > 1)} {', '.join(lacking)}; its header (line 1) "
        f"reads: {shown}. {'Perhaps ' + ' and '.join(hints) + '. ' if hints else ''}Columns must be separated by a "
        "comma, a semicolon, a tab or a vertical bar."
    )
