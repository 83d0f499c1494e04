"""Find the layout of a file: its format, dialect and header, checked against a contract."""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import duckdb
import pyarrow
import pyarrow.parquet

from quintet.ingest import workbook
from quintet.ingest.archive import WorkbookTooLargeError
from quintet.ingest.content import BLOCK_BYTES, Content, beyond, format_of, pattern_of, text_bytes
from quintet.ingest.contract import Dataset, fold_header
from quintet.ingest.inbox import InboxFile
from quintet.ingest.mapping import shape_of
from quintet.ingest.rejection import FileRejectedError, MissingColumnsError
from quintet.ingest.workbook import SheetRow
from quintet.warehouse.connect import connect_to_files
from quintet.warehouse.sql import quote_identifier, quote_literal

DELIMITERS = (",", ";", "\t", "|")

_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffd]")
_LINE_END = re.compile("[\r\n]")
# With this line before its header a file names its delimiter to Excel.
_SEP_LINE = re.compile(r'"?sep=(.)"?[,;\t|]*(\r\n|\r|\n)', re.IGNORECASE)
_PARQUET_FOOTER_BYTES = 16_000_000


@dataclass(frozen=True)
class Layout:
    """The layout of a file.

    titles: the file's column names by position.
    header: the contract's names for them, None for an unknown column.
    encoding: a Python codec; delimiter: one character (both only for CSV).
    header_bytes: the `text_bytes` of the header (only for CSV).
    types: the columns' original names and types (only for Parquet): files that differ in them are not read together.
    floats: the positions of columns of floats, and decimals the positions of decimals (only for Parquet).
    numeric: the positions of the contract's numbers.
    shape: of the header, as `shape_of` returns it.
    has_sep_line: whether the header comes after a line such as `sep=;` (only for CSV).
    plain: whether the strict bulk reader may try it.
    """

    format: str
    titles: tuple[str, ...]
    header: tuple[str | None, ...]
    encoding: str = "utf-8"
    delimiter: str = ","
    header_bytes: int = 0
    types: tuple[str, ...] = ()
    floats: tuple[int, ...] = ()
    decimals: tuple[int, ...] = ()
    numeric: tuple[int, ...] = ()
    shape: str = ""
    has_sep_line: bool = False
    plain: bool = True

    @property
    def extra(self) -> dict[int, str]:
        """The unknown columns' names by position."""
        return {index: title for index, title in enumerate(self.titles) if self.header[index] is None}

    @property
    def present(self) -> tuple[str, ...]:
        """The contract's columns that the file has."""
        return tuple(name for name in self.header if name is not None)


def read_layout(file: InboxFile, content: Content, dataset: Dataset) -> Layout:
    """Return the file's layout, checked against the contract. Raises FileRejectedError if it does not fit."""
    kind = format_of(file)
    if kind == "csv":
        layout = _csv_layout(file, content, dataset)
    elif kind == "xlsx":
        layout = _layout(file, _row_of_titles(next(_sheet(file), SheetRow({}))), dataset, "xlsx")
    else:
        layout = _parquet_layout(file, dataset)
    if dataset.day_from_name and "timestamp" not in layout.present:
        _require_day_in_name(file)
    return layout


def column_names(layout: Layout) -> list[str]:
    """Return the names of a file's columns by position: the contract's, or one made of the position."""
    return [name if name is not None else f"_unknown_{index}" for index, name in enumerate(layout.header)]


def _require_day_in_name(file: InboxFile) -> None:
    if file.date_in_name is None and file.number_in_name is None:
        raise FileRejectedError(
            f"{file.name} does not say of which day it is: its rows have no date. Add a date (2024-05-01) or a running "
            "number (1, 2, ...) to the file's name."
        )


def _csv_layout(file: InboxFile, content: Content, dataset: Dataset) -> Layout:
    encoding = _encoding(content)
    text = content.head.decode(encoding, errors="replace").lstrip("\ufeff")
    sep_line = _SEP_LINE.match(text)
    head = text[sep_line.end() :] if sep_line else text
    first_line = _LINE_END.split(head, maxsplit=1)[0]
    if "\0" in first_line or _looks_binary(head):
        raise FileRejectedError(
            f"{file.name} is not text (it has bytes that do not occur in text). Export it as CSV, or give it the "
            "ending of its real format (.xlsx, .parquet, .csv.gz)."
        )
    if first_line == head and len(content.head) >= BLOCK_BYTES:
        raise FileRejectedError(
            f"{file.name} has no header: its first line is longer than {BLOCK_BYTES:,} bytes. Write one line "
            "of column names, then one line for each row."
        )
    headers = {delimiter: _first_record(head, delimiter) for delimiter in DELIMITERS}
    folded = {one: [fold_header(name) for name in header] for one, header in headers.items()}
    known = {one: len(set(names) & set(dataset.aliases_in(names))) for one, names in folded.items()}
    # a header without a known name still has its columns, for a person to map
    delimiter = max(
        DELIMITERS,
        key=lambda one: (known[one], 0 if any(known.values()) else len(folded[one]) * (len(folded[one]) > 1)),
    )
    layout = _layout(file, headers[delimiter], dataset, "csv", encoding, delimiter, content)
    if not sep_line:
        return layout
    return replace(
        layout, has_sep_line=True, header_bytes=layout.header_bytes + text_bytes(sep_line[0].encode(encoding))
    )


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


def _sheet(file: InboxFile) -> Iterator[SheetRow]:
    try:
        yield from workbook.sheet_rows(file.path, file.limits)
    except WorkbookTooLargeError as error:
        raise FileRejectedError(
            f"{file.name} {error}. Delete what is beside the table and save it again, or raise the limit where "
            "there is a setting for it (docs/datasets.md#limits)."
        ) from error
    except workbook.DAMAGED as error:
        raise FileRejectedError(
            f"{file.name} is not a readable workbook ({error}). Save it again as .xlsx without a password."
        ) from error


def _row_of_titles(row: SheetRow) -> list[str | None]:
    return [row.cells.get(position) for position in range(max(row.cells, default=-1) + 1)]


def sheet_rows(file: InboxFile) -> Iterator[SheetRow]:
    """Return the rows of the first sheet below its header. Raises FileRejectedError if damaged or beyond a limit."""
    return islice(_sheet(file), 1, None)


def _parquet_layout(file: InboxFile, dataset: Dataset) -> Layout:
    try:
        _require_small_footer(file)
        metadata = pyarrow.parquet.read_metadata(file.path)
        _require_within_limits(file, metadata)
        schema = metadata.schema.to_arrow_schema()
    except (pyarrow.ArrowException, duckdb.Error, OSError, MemoryError) as error:
        raise damaged_parquet(file, error) from error
    return replace(
        _layout(file, schema.names, dataset, "parquet"),
        types=tuple(f"{field.name} {field.type}" for field in schema),
        floats=tuple(index for index, field in enumerate(schema) if pyarrow.types.is_floating(field.type)),
        decimals=tuple(index for index, field in enumerate(schema) if pyarrow.types.is_decimal(field.type)),
    )


def _require_small_footer(file: InboxFile) -> None:
    """Raise FileRejectedError if the metadata, which is read as a whole, is too large."""
    with file.path.open("rb") as stream:
        stream.seek(max(file.bytes - 8, 0))
        size = int.from_bytes(stream.read(8)[:4], "little")
    if file.bytes >= size > _PARQUET_FOOTER_BYTES:
        raise FileRejectedError(
            f"{file.name} has {size:,} bytes of metadata; the limit is {_PARQUET_FOOTER_BYTES:,}. Write it again with "
            "larger row groups and fewer columns."
        )


def _require_within_limits(file: InboxFile, metadata: pyarrow.parquet.FileMetaData) -> None:
    limits = file.limits
    unpacked = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
    if metadata.num_columns > limits.columns:
        raise beyond(file.name, f"has {metadata.num_columns:,} columns; the limit is {limits.columns:,}", "COLUMNS")
    if metadata.num_rows > limits.rows:
        raise beyond(file.name, f"has more than {limits.rows:,} rows", "ROWS")
    if unpacked > limits.unpacked_bytes or _text_bytes_of_parquet(file, metadata) > limits.unpacked_bytes:
        raise beyond(file.name, f"has more than {limits.unpacked_bytes:,} bytes unpacked", "UNPACKED_BYTES")


def _text_bytes_of_parquet(file: InboxFile, metadata: pyarrow.parquet.FileMetaData) -> int:
    """Return the bytes of a file's texts, in which one long text of a dictionary may stand for millions of cells.

    0 where the metadata already says that they are within the limits.
    """
    chunks = [
        metadata.row_group(group).column(column)
        for group in range(metadata.num_row_groups)
        for column in range(metadata.num_columns)
    ]
    texts = [chunk for chunk in chunks if chunk.physical_type == "BYTE_ARRAY"]
    if sum(chunk.num_values * chunk.total_uncompressed_size for chunk in texts) <= file.limits.unpacked_bytes:
        return 0
    columns = sorted({chunk.path_in_schema for chunk in texts if "." not in chunk.path_in_schema})
    lengths = " + ".join(f"coalesce(strlen({quote_identifier(name)}::varchar), 0)" for name in columns) or "0"
    with connect_to_files(memory_limit="500MB", threads=1) as apart:
        found = apart.execute(
            f"select sum({lengths}) "
            f"from read_parquet({quote_literal(pattern_of(file.path))}, hive_partitioning = false)"
        ).fetchone()
    return int(found[0] or 0) if found else 0


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
    if len(titles) > file.limits.columns:
        raise beyond(file.name, f"has {len(titles):,} columns; the limit is {file.limits.columns:,}", "COLUMNS")
    folded = [fold_header(title) for title in titles]
    repeated = sorted({title for title, fold in zip(titles, folded, strict=True) if folded.count(fold) > 1 and fold})
    aliases = dataset.aliases_in(folded)
    header = tuple(aliases.get(fold) for fold in folded)
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
        numeric=tuple(index for index, name in enumerate(header) if name in dataset.numbers),
        shape=shape_of(folded),
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
    raise MissingColumnsError(
        tuple(titles),
        tuple(lacking),
        f"{file.name} lacks the required column{'s' * (len(lacking) > 1)} {', '.join(lacking)}; its header (line 1) "
        f"reads: {shown}. {'Perhaps ' + ' and '.join(hints) + '. ' if hints else ''}Columns must be separated by a "
        "comma, a semicolon, a tab or a vertical bar.",
    )
