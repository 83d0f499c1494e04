"""What a person needs to see of the rejected files of an inbox: their headers and first rows."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Collection, Iterator, Sequence
from itertools import islice

import duckdb
import pyarrow as pa

from quintet.ingest.content import open_bytes, pattern_of
from quintet.ingest.contract import Dataset
from quintet.ingest.examine import Examined
from quintet.ingest.files import DELIMITERS, sheet_rows
from quintet.ingest.forgotten import forgotten_among
from quintet.ingest.inbox import InboxFile
from quintet.ingest.rejection import FileRejectedError
from quintet.warehouse.connect import connect_to_files
from quintet.warehouse.sql import quote_literal

_ROWS = 5
_COLUMNS = 50
_HEAD_BYTES = 256_000

MOST_CHARACTERS = 80
"""Of a cell of the first rows."""


def note_unread(connection: duckdb.DuckDBPyConnection, dataset: Dataset, rejected: Sequence[Examined]) -> None:
    """Record rejected files of an inbox in `ops.unread_files`, with the header and first rows where they have one.

    A row that names a forgotten person is left out.
    """
    if not rejected:
        return
    first_rows = [_first_rows(one) for one in rejected]
    gone = forgotten_among(connection, dataset, [cell for rows in first_rows for row in rows for cell in row])
    first_rows = [[row for row in rows if gone.isdisjoint(row)] for rows in first_rows]
    table = pa.table(
        {
            "dataset": [dataset.name] * len(rejected),
            "batch_id": [one.batch_id for one in rejected],
            "file": [one.file.name for one in rejected],
            "bytes": [one.file.bytes for one in rejected],
            "message": [str(one.message) for one in rejected],
            "titles": pa.array([list(one.titles) for one in rejected], pa.list_(pa.string())),
            "lacking": pa.array([list(one.lacking) for one in rejected], pa.list_(pa.string())),
            "first_rows": pa.array(first_rows, pa.list_(pa.list_(pa.string()))),
            "arrived_at": [one.file.arrived_at for one in rejected],
        }
    )
    connection.register("unread", table)
    connection.execute("insert or replace into ops.unread_files by name select * from unread")
    connection.unregister("unread")


def forget_read(connection: duckdb.DuckDBPyConnection, dataset: str, listed: Collection[str]) -> None:
    """Remove the files that were loaded meanwhile, or are not in the inbox any more.

    listed: the batches of the inbox, so that a file that was corrected under its name leaves nothing of the former one.
    """
    connection.execute(
        "delete from ops.unread_files where dataset = $dataset and (not list_contains($listed::varchar[], batch_id) "
        "or batch_id in (select batch_id from ops.batches where dataset = $dataset and status = 'loaded'))",
        {"dataset": dataset, "listed": list(listed)},
    )


def _first_rows(examined: Examined) -> list[list[str]]:
    """Return the first rows below a readable header, their cells cut short; none if they cannot be read."""
    if not examined.titles:
        return []
    try:
        rows = list(islice((row for row in _rows(examined.file, len(examined.titles)) if any(row)), _ROWS))
    except (FileRejectedError, UnicodeError, csv.Error, duckdb.Error, OSError):  # the header alone is shown
        return []
    return [[(cell or "")[:MOST_CHARACTERS] for cell in row[:_COLUMNS]] for row in rows]


def _rows(file: InboxFile, width: int) -> Iterator[Sequence[str | None]]:
    lowered = file.name.lower()
    if lowered.endswith(".xlsx"):
        for row in sheet_rows(file):
            yield [row.cells.get(position) for position in range(width)]
    elif lowered.endswith(".parquet"):
        with connect_to_files(threads=1) as apart:
            yield from apart.execute(
                f"select columns(*)::varchar from read_parquet({quote_literal(pattern_of(file.path))}, "
                f"hive_partitioning = false) limit {_ROWS}"
            ).fetchall()
    else:
        with open_bytes(file.path) as binary:
            head = binary.read(_HEAD_BYTES)
        lines = _decoded(head).splitlines(keepends=True)
        start = 1 if lines and lines[0].lower().lstrip('"').startswith("sep=") else 0
        text = "".join(lines[start:])
        of_width = (
            found
            for one in DELIMITERS
            if len((found := list(islice(csv.reader(io.StringIO(text, newline=""), delimiter=one), _ROWS + 1)))[0])
            == width
        )
        yield from next(of_width, [[]])[1:]


def _decoded(head: bytes) -> str:
    """Return the text of the first bytes of a file, whose last character may be cut."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", errors="replace")
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return head.decode("cp1252", errors="replace")
