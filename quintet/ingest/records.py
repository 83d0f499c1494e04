"""Read a file record by record, including files that a strict reader refuses."""

from __future__ import annotations

import csv
import io
import json
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from quintet.ingest.content import is_unicode, open_bytes
from quintet.ingest.doubt import may_be_thousands, two_readings
from quintet.ingest.files import Layout, sheet_rows
from quintet.ingest.inbox import InboxFile
from quintet.ingest.rejection import FileRejectedError
from quintet.ingest.workbook import SheetRow

LONGEST_RECORD_BYTES = 2_000_000
"""The limit of DuckDB's reader, so that the record reader accepts every record that the bulk reader accepts."""

_CHUNK_RECORDS = 50_000
_CHUNK_CHARACTERS = 32_000_000


@dataclass(frozen=True)
class Record:
    """One data row of a file.

    row: its number, from 1, without blank lines.
    cells: its texts by position, None for an empty one; None instead of the tuple if the row could not be split.
    text: the row as in the file, without its line end.
    problem: why it could not be split.
    """

    row: int
    cells: tuple[str | None, ...] | None
    text: str
    problem: str | None = None


def read_records(file: InboxFile, layout: Layout) -> Iterator[Record]:
    """Yield every data row of a CSV file or a workbook, in order; broken rows have a problem.

    Raises FileRejectedError if the rest cannot be read, such as in a workbook that is damaged half-way.
    """
    if layout.format == "xlsx":
        yield from _sheet_records(sheet_rows(file), layout)
        return
    with (
        open_bytes(file.path) as binary,
        io.TextIOWrapper(binary, encoding=layout.encoding, errors="surrogateescape", newline="") as lines,
    ):
        if layout.has_sep_line:
            lines.readline()
        try:
            yield from split_records(lines, layout.delimiter, len(layout.header))
        except UnicodeDecodeError as error:  # only for UTF-16, which cannot be decoded after a broken byte
            raise FileRejectedError(
                f"{file.name} is UTF-16 text that is damaged or cut short ({error.reason}). Save it as UTF-8."
            ) from error


def split_records(lines: Iterable[str], delimiter: str, width: int) -> Iterator[Record]:
    """Split lines of CSV (RFC 4180; the first record is the header) into rows of `width` cells.

    A line that cannot be split affects no other line: after a quotation mark that is never closed, reading continues
    with the next line.
    """
    csv.field_size_limit(LONGEST_RECORD_BYTES)
    feed = _Feed(lines)
    row = -1  # the header is no data row
    while True:
        feed.start_record()
        try:
            cells = next(csv.reader(feed, delimiter=delimiter, strict=True))
        except StopIteration:
            return
        except csv.Error as error:
            row += 1
            text = feed.keep_first_line().rstrip("\r\n")
            yield Record(row, None, _printable(text), _explain(error, text))
            continue
        if not cells:
            continue
        row += 1
        if row > 0:
            yield _judge(row, cells, "".join(feed.taken).rstrip("\r\n"), width)


class _Feed(Iterator[str]):
    """Lines for a csv reader, which can be put back to be read again."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._returned: deque[str] = deque()
        self.taken: list[str] = []
        self._length = 0

    def start_record(self) -> None:
        self.taken, self._length = [], 0

    def keep_first_line(self) -> str:
        """Return the first line of the current record, and put back its other lines."""
        self._returned.extendleft(reversed(self.taken[1:]))
        return self.taken[0]

    def __next__(self) -> str:
        if self._length > LONGEST_RECORD_BYTES:
            raise csv.Error(f"the record is longer than {LONGEST_RECORD_BYTES:,} characters")
        line = self._returned.popleft() if self._returned else next(self._lines)
        self.taken.append(line)
        self._length += len(line)
        return line


def _judge(row: int, cells: list[str], text: str, width: int) -> Record:
    if len(cells) != width:
        return Record(row, None, _printable(text), f"the row has {len(cells)} cells but the header has {width}")
    if "\0" in text:
        return Record(row, None, _printable(text), "the row holds a NUL byte")
    if not is_unicode(text):
        return Record(row, None, _printable(text), "the row holds bytes that are not UTF-8")
    return Record(row, tuple(cell or None for cell in cells), text)


def _printable(text: str) -> str:
    """Return the text with NUL and undecodable bytes written as escapes, so that it can be stored."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").replace("\0", "\\x00")


def _explain(error: csv.Error, text: str) -> str:
    if len(text) > LONGEST_RECORD_BYTES:
        return f"the line is longer than {LONGEST_RECORD_BYTES:,} characters"
    if "unexpected end of data" in str(error) or "longer than" in str(error):
        return "a quotation mark is opened and never closed"
    return f"the line cannot be split into cells ({error})"


def _sheet_records(rows: Iterable[SheetRow], layout: Layout) -> Iterator[Record]:
    """Yield the rows of a sheet that have a value; a formula without a saved value is a problem of its row."""
    width, numeric = len(layout.header), frozenset(layout.numeric)
    for number, row in enumerate(rows, start=1):
        last = max(row.cells, default=-1) + 1
        text = json.dumps([row.cells.get(position) for position in range(max(last, width))], ensure_ascii=False)
        doubtful = [row.cells[position] for position in row.stored_as_text & numeric]
        doubtful = [cell for cell in doubtful if may_be_thousands(cell)]
        if row.unvalued:
            problem = (
                f"the formula in cell {', '.join(row.unvalued[:5])} has no saved value: open the workbook, recalculate "
                "it and save it again"
            )
            yield Record(number, None, text, problem)
        elif last > width:
            yield Record(number, None, text, f"the row has {last} cells but the header has {width}")
        elif doubtful:
            yield Record(
                number, None, text, f"'{doubtful[0]}' is stored as text and {two_readings(doubtful[0])}: store a number"
            )
        else:
            yield Record(number, tuple(row.cells.get(position) for position in range(width)), text)


def chunks(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Yield the records in lists of limited length and size."""
    chunk: list[Record] = []
    characters = 0
    for record in records:
        chunk.append(record)
        characters += len(record.text)
        if len(chunk) >= _CHUNK_RECORDS or characters > _CHUNK_CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk
