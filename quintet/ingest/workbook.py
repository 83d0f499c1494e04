"""Read the first sheet of a workbook as text, row by row.

The sheet is parsed as a stream, and only cells that the file has become objects: a cell far to the right, or a row
with a huge number, costs nothing.
"""

from __future__ import annotations

import datetime as dt
import posixpath
import re
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat

from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format, is_timedelta_format
from openpyxl.utils.cell import get_column_letter
from openpyxl.utils.datetime import MAC_EPOCH, WINDOWS_EPOCH, from_excel

from quintet.ingest.archive import WorkbookTooLargeError, open_archive, open_part
from quintet.limits import Limits

_BLOCK_BYTES = 1 << 16
_LARGEST_SHEET_ROWS = 1_048_576
_PART_BYTES = 50_000_000
_PART_ELEMENTS = 500_000
# Excel keeps 15 digits of a number; longer ones are filled with zeros.
_EXACT_BELOW = 1e15
_REFERENCE = re.compile(r"([A-Za-z]{1,7})(\d{1,12})")
_WHOLE = re.compile(r"-?\d+")
_ZEROS = re.compile(r"0{2,}")
# Errors of zipfile, of the decompressor, of the XML parser and of impossible values in a part.
DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, expat.ExpatError, NotImplementedError, RuntimeError),
    *(EOFError, OSError, LookupError, ValueError),
)
"""The errors that reading a damaged workbook may raise."""


@dataclass(frozen=True)
class SheetRow:
    """A row of a sheet: its texts by position, from 0.

    stored_as_text: the positions of cells that hold text. unvalued: the references of formulas without a saved value.
    """

    cells: Mapping[int, str]
    stored_as_text: frozenset[int] = frozenset()
    unvalued: tuple[str, ...] = ()


@dataclass
class _Cell:
    column: int
    kind: str
    style: int
    has_formula: bool = False
    value: str | None = None
    text: list[str] = field(default_factory=list)


def sheet_rows(path: Path, limits: Limits) -> Iterator[SheetRow]:
    """Yield the rows of the first sheet that have a cell, the header among them.

    Each cell reads as a CSV export would write it: dates and times in ISO form, 10% as "10%", whole numbers without a
    decimal point, and numbers of more than 15 digits, of which a spreadsheet drops the last ones, in exponent notation.
    Raises WorkbookTooLargeError beyond a limit, one of DAMAGED if a part cannot be read.
    """
    with open_archive(path) as archive:
        main = _target(archive, "_rels/.rels", "", "/officeDocument") or "xl/workbook.xml"
        relations = posixpath.join(posixpath.dirname(main), "_rels", posixpath.basename(main) + ".rels")
        folder = posixpath.dirname(main)
        sheet, is_1904 = _first_sheet(archive, main, relations, folder)
        shared_part = _target(archive, relations, folder, "/sharedStrings")
        shared = _shared_texts(archive, shared_part, limits) if shared_part in archive.namelist() else []
        styles_part = _target(archive, relations, folder, "/styles")
        formats = _formats(archive, styles_part) if styles_part in archive.namelist() else []
        reader = _SheetReader(shared, formats, MAC_EPOCH if is_1904 else WINDOWS_EPOCH, limits)
        with open_part(archive, sheet, limits.unpacked_bytes) as stream:
            for _ in _parse(stream, reader.start, reader.end, reader.text, limits.line_bytes):
                while reader.rows:
                    yield reader.rows.popleft()


def _parse(
    stream: BinaryIO,
    start: Callable[[str, Mapping[str, str]], None],
    end: Callable[[str], None],
    text: Callable[[str], None],
    longest_tag_bytes: int = _PART_BYTES,
) -> Iterator[None]:
    """Call back for each element by its local name and for each text; yield after each block.

    A document type, which could define entities that multiply, is an error.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = lambda name, attributes: start(name.rpartition(" ")[2], attributes)
    parser.EndElementHandler = lambda name: end(name.rpartition(" ")[2])
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _refuse_document_type
    read = 0
    while block := stream.read(_BLOCK_BYTES):
        parser.Parse(block, False)
        read += len(block)
        if read - parser.CurrentByteIndex > longest_tag_bytes:
            raise WorkbookTooLargeError(f"has a tag longer than {longest_tag_bytes:,} bytes")
        yield
    parser.Parse(b"", True)
    yield


def _refuse_document_type(*_: object) -> None:
    raise ValueError("its XML declares a document type")


def _elements(archive: zipfile.ZipFile, part: str) -> list[tuple[str, Mapping[str, str]]]:
    """Return the elements of a small part, each with its attributes, in document order."""
    found: list[tuple[str, Mapping[str, str]]] = []

    def start(name: str, attributes: Mapping[str, str]) -> None:
        if len(found) == _PART_ELEMENTS:
            raise WorkbookTooLargeError(f"has more than {_PART_ELEMENTS:,} elements in {part}")
        found.append((name, attributes))

    with open_part(archive, part, _PART_BYTES) as stream:
        for _ in _parse(stream, start, _ignore, _ignore):
            pass
    return found


def _ignore(_: str) -> None:
    """Do nothing."""


def _targets(archive: zipfile.ZipFile, relations: str, folder: str) -> Iterator[tuple[str, str, str]]:
    """Yield (id, type, part) of the relations of a part; none if it has no relations."""
    if relations not in archive.namelist():
        return
    for name, attributes in _elements(archive, relations):
        if name == "Relationship":
            part = posixpath.normpath(posixpath.join("/", folder, attributes["Target"])).lstrip("/")
            yield attributes["Id"], attributes["Type"], part


def _target(archive: zipfile.ZipFile, relations: str, folder: str, kind: str) -> str | None:
    return next((part for _, of, part in _targets(archive, relations, folder) if of.endswith(kind)), None)


def _first_sheet(archive: zipfile.ZipFile, main: str, relations: str, folder: str) -> tuple[str, bool]:
    """Return the part of the first worksheet, and whether its days count from 1904."""
    parts = {key: part for key, kind, part in _targets(archive, relations, folder) if kind.endswith("/worksheet")}
    is_1904 = False
    for name, attributes in _elements(archive, main):
        if name == "workbookPr":
            is_1904 = attributes.get("date1904", "0") in ("1", "true")
        if name == "sheet":
            key = next((value for key, value in attributes.items() if key.rpartition(" ")[2] == "id"), "")
            if key in parts:
                return parts[key], is_1904
    raise ValueError("it has no worksheet")


def _shared_texts(archive: zipfile.ZipFile, part: str | None, limits: Limits) -> list[str]:
    """Return the texts that cells refer to by number."""
    texts: list[str] = []
    pieces: list[str] = []
    held, is_text, is_phonetic = 0, False, False

    def start(name: str, _: Mapping[str, str]) -> None:
        nonlocal is_text, is_phonetic
        is_phonetic = is_phonetic or name == "rPh"
        is_text = name == "t" and not is_phonetic

    def text(data: str) -> None:
        nonlocal held
        if is_text:
            held += len(data)
            pieces.append(data)
            if held > limits.shared_text_bytes:
                raise WorkbookTooLargeError(f"has more than {limits.shared_text_bytes:,} bytes of shared texts")

    def end(name: str) -> None:
        nonlocal held, is_text, is_phonetic
        is_text = False
        is_phonetic = is_phonetic and name != "rPh"
        if name == "si":
            held += 60  # what a text occupies beside its characters
            texts.append("".join(pieces))
            pieces.clear()
            text("")

    with open_part(archive, str(part), limits.unpacked_bytes) as stream:
        for _ in _parse(stream, start, end, text, limits.line_bytes):
            if held > limits.shared_text_bytes:
                raise WorkbookTooLargeError(f"has more than {limits.shared_text_bytes:,} bytes of shared texts")
    return texts


def _formats(archive: zipfile.ZipFile, part: str | None) -> list[str]:
    """Return the number format of each cell style."""
    own: dict[int, str] = {}
    formats: list[str] = []
    is_of_cells = False
    for name, attributes in _elements(archive, str(part)):
        if name == "numFmt" and "numFmtId" in attributes:
            own[int(attributes["numFmtId"])] = attributes.get("formatCode", "General")
        elif name in ("cellXfs", "cellStyleXfs", "cellStyles", "dxfs"):
            is_of_cells = name == "cellXfs"
        elif name == "xf" and is_of_cells:
            number = int(attributes.get("numFmtId", "0"))
            formats.append(own.get(number) or BUILTIN_FORMATS.get(number, "General"))
    return formats


class _SheetReader:
    """Turn the elements of a sheet into rows."""

    def __init__(self, shared: Sequence[str], formats: Sequence[str], epoch: dt.datetime, limits: Limits) -> None:
        self.rows: deque[SheetRow] = deque()
        self._shared, self._limits, self._epoch = shared, limits, epoch
        self._formats = [_style(code) for code in formats]
        self._row = self._seen = self._held = self._cells_seen = 0
        self._column = -1
        self._cells: dict[int, str] = {}
        self._stored_as_text: list[int] = []
        self._unvalued: list[str] = []
        self._cell: _Cell | None = None
        self._collects = self._is_phonetic = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "row":
            self._start_row(attributes.get("r"))
        elif name == "c":
            self._cell = self._start_cell(attributes)
        elif self._cell is not None:
            self._is_phonetic = self._is_phonetic or name == "rPh"
            self._collects = name in ("v", "t") and not self._is_phonetic
            if name == "f":
                self._cell.has_formula = True

    def text(self, data: str) -> None:
        if not self._collects or self._cell is None:
            return
        self._held += len(data)
        if self._held > self._limits.cell_bytes:
            raise WorkbookTooLargeError(f"has a cell longer than {self._limits.cell_bytes:,} bytes in row {self._row}")
        self._cell.text.append(data)

    def end(self, name: str) -> None:
        if name == "c" and self._cell is not None:
            self._keep(self._cell)
            self._cell = None
        elif name == "row":
            if self._cells or self._unvalued:
                self.rows.append(SheetRow(self._cells, frozenset(self._stored_as_text), tuple(self._unvalued)))
            self._cells, self._stored_as_text, self._unvalued = {}, [], []
        elif self._cell is not None and name in ("v", "t", "rPh"):
            self._is_phonetic = self._is_phonetic and name != "rPh"
            self._collects = False

    def _start_row(self, number: str | None) -> None:
        self._row, self._column = int(number) if number else self._row + 1, -1
        self._seen, self._cells_seen = self._seen + 1, 0
        most = min(_LARGEST_SHEET_ROWS, self._limits.rows + 1)  # the header is no data row
        if self._row > most or self._seen > most:
            raise WorkbookTooLargeError(f"has a row {max(self._row, self._seen):,}; the limit is {most:,} rows")

    def _start_cell(self, attributes: Mapping[str, str]) -> _Cell:
        reference = _REFERENCE.fullmatch(attributes.get("r", ""))
        column = _column_number(reference[1]) if reference else self._column + 1
        if column >= self._limits.columns:
            letters = reference[1].upper() if reference else get_column_letter(column + 1)
            raise WorkbookTooLargeError(
                f"has a cell in column {letters} ({column + 1:,}); the limit is {self._limits.columns:,} columns"
            )
        self._cells_seen += 1
        if self._cells_seen > self._limits.columns:
            raise WorkbookTooLargeError(f"has more than {self._limits.columns:,} cells in row {self._row:,}")
        self._held, self._column = 0, column
        return _Cell(column, attributes.get("t", "n"), int(attributes.get("s", "0")))

    def _keep(self, cell: _Cell) -> None:
        written = "".join(cell.text)
        if not written:
            if cell.has_formula and cell.kind != "str":
                self._unvalued.append(f"{get_column_letter(cell.column + 1)}{self._row}")
            return
        text = self._text_of(cell, written)
        if text:
            if cell.column in self._cells:
                raise ValueError(f"it has cell {get_column_letter(cell.column + 1)}{self._row} twice")
            self._cells[cell.column] = text
            if cell.kind in ("s", "str", "inlineStr"):
                self._stored_as_text.append(cell.column)

    def _text_of(self, cell: _Cell, written: str) -> str:
        if cell.kind == "s":
            number = int(written)
            if number < 0:
                raise ValueError(f"it has no shared text {number}")
            return self._shared[number]
        if cell.kind == "b":
            return "TRUE" if written.strip() in ("1", "true") else "FALSE"
        if cell.kind == "d":
            return written.replace("T", " ")
        if cell.kind == "n":
            style = self._formats[cell.style] if cell.style < len(self._formats) else "number"
            return _number_text(written.strip(), style, self._epoch)
        return written


def _column_number(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number - 1


def _style(code: str) -> str:
    """Return how a format shows a number: duration, date, percent, a run of zeros, or number."""
    if is_timedelta_format(code):
        return "duration"
    if is_date_format(code):
        return "date"
    if re.search(r"(?<!\\)%", re.sub(r'"[^"]*"', "", code)):
        return "percent"
    return code if _ZEROS.fullmatch(code) else "number"


def _number_text(written: str, style: str, epoch: dt.datetime) -> str:
    try:
        value = float(written)
    except ValueError:
        return written
    if style in ("date", "duration"):
        return _moment_text(value, style, epoch) or written
    if style == "percent":
        return f"{value * 100:.15g}%"
    if abs(value) >= _EXACT_BELOW:
        return f"{value:.14e}"
    if not value.is_integer():
        return repr(value)
    whole = written if _WHOLE.fullmatch(written) else str(int(value))
    return whole.zfill(len(style)) if style.startswith("0") else whole


def _moment_text(value: float, style: str, epoch: dt.datetime) -> str | None:
    """Return a day, a time or both in ISO form; None for a number that is none."""
    try:
        moment = from_excel(value, epoch, timedelta=style == "duration")
    except (OverflowError, ValueError):
        return None
    if isinstance(moment, dt.timedelta):
        minutes, seconds = divmod(round(moment.total_seconds()), 60)
        return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
    return moment.isoformat(sep=" ") if isinstance(moment, dt.datetime) else moment.isoformat()
