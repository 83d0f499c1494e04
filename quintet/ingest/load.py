"""Load inbox files into raw tables: each file once, each row either loaded or quarantined with its reason.

A batch is identified by the hash of its content, so loading is idempotent: a crash leaves a whole transaction or
nothing, and a second load finds the batch there.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice

import duckdb
import numpy as np
import pyarrow as pa

from quintet.ingest.contract import Dataset
from quintet.ingest.files import FileRejectedError, Layout, damaged_parquet, format_of, read_content, read_layout
from quintet.ingest.inbox import InboxFile, still_as_listed
from quintet.ingest.raw_tables import PROVENANCE, raw_table
from quintet.ingest.records import Record, read_records
from quintet.warehouse.database import transaction
from quintet.warehouse.sql import quote_identifier, quote_literal

_GROUP_FILES = 1_000
_GROUP_BYTES = 256 << 20
_CHUNK_RECORDS = 50_000

_QUARANTINE = """
create or replace temp table quarantine (batch_id varchar, source_row bigint, reason varchar, text varchar)
"""


@dataclass(frozen=True)
class Examined:
    """A file with the hash of its content, and either its layout or the message that rejects it.

    text_bytes: the number of bytes of the file's cells and delimiters, header included.
    """

    file: InboxFile
    batch_id: str
    content_sha256: str | None
    layout: Layout | None
    message: str | None
    text_bytes: int = 0


@dataclass(frozen=True)
class Outcome:
    """The outcome of loading a file.

    status: `loaded`, `rejected`, `known` (the same content was loaded before, or is in the inbox under another name)
        or `changed` (it was written to while it was read; the next run loads it).
    rows = loaded + rejected; all zero unless loaded now.
    """

    dataset: str
    file: str
    batch_id: str
    status: str
    message: str | None
    rows: int = 0
    loaded: int = 0
    rejected: int = 0


def examine(file: InboxFile, dataset: Dataset) -> Examined:
    """Hash the file and check its layout against the contract; the result has the message if it is rejected."""
    try:
        format_of(file)
        content = read_content(file)
    except FileRejectedError as error:
        identity = hashlib.sha256(f"{file.name}\0{error}".encode()).hexdigest()
        return Examined(file, identity[:16], None, None, str(error))
    batch_id = content.sha256[:16]
    try:
        layout = read_layout(file, content, dataset)
        return Examined(file, batch_id, content.sha256, layout, None, content.text_bytes)
    except FileRejectedError as error:
        return Examined(file, batch_id, content.sha256, None, str(error))


def load_files(
    connection: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    files: Sequence[InboxFile],
    now: dt.datetime,
    report: Callable[[str], None],
) -> list[Outcome]:
    """Load the files into `raw.<dataset>`, each new content once, and return the outcome of each file.

    now: UTC without zone, recorded with the batches. report: called with the progress after each group of files.
    Running it again, also after a crash, loads what is still missing. Raises duckdb.Error if the warehouse cannot be
    written (disk full); nothing of the current group is kept then.
    """
    known = _known(connection, dataset)
    outcomes: list[Outcome] = []
    fresh: dict[str, Examined] = {}
    for examined in (examine(file, dataset) for file in files):
        first_name = known.get(examined.batch_id) or _name(fresh.get(examined.batch_id))
        if first_name is not None:
            outcomes.append(_outcome(dataset, examined, "known", f"same content as {first_name}"))
        elif not still_as_listed(examined.file):
            outcomes.append(_changed(dataset, examined))
        elif examined.layout is None:
            outcomes.append(_reject(connection, dataset, examined, now))
        else:
            fresh[examined.batch_id] = examined
    done = 0
    for group in _groups(list(fresh.values())):
        outcomes += _load_group(connection, dataset, group, now)
        done += len(group)
        report(f"{dataset.name}: {done:,} of {len(fresh):,} new files")
    return outcomes


def _name(examined: Examined | None) -> str | None:
    return None if examined is None else examined.file.name


def _known(connection: duckdb.DuckDBPyConnection, dataset: Dataset) -> dict[str, str]:
    """Return the file names of loaded batches, by batch; rejected batches are left out, they may be readable now."""
    rows = connection.execute(
        "select batch_id, file from ops.batches where dataset = ? and status = 'loaded'", [dataset.name]
    ).fetchall()
    return dict(rows)


def _outcome(dataset: Dataset, examined: Examined, status: str, message: str | None) -> Outcome:
    return Outcome(dataset.name, examined.file.name, examined.batch_id, status, message)


def _changed(dataset: Dataset, examined: Examined) -> Outcome:
    return _outcome(dataset, examined, "changed", "was written to or removed while it was read; the next run loads it")


def _reject(connection: duckdb.DuckDBPyConnection, dataset: Dataset, examined: Examined, now: dt.datetime) -> Outcome:
    rejection = _outcome(dataset, examined, "rejected", examined.message)
    _insert_batches(connection, [examined], [rejection], now)
    return rejection


def _groups(fresh: Sequence[Examined]) -> Iterator[list[Examined]]:
    """Yield groups of files that one statement can read: same layout, limited in number and bytes."""
    for _, alike in groupby(sorted(fresh, key=_likeness), key=_likeness):
        group: list[Examined] = []
        for examined in alike:
            if len(group) >= _GROUP_FILES or (group and _bytes(group) + examined.file.bytes > _GROUP_BYTES):
                yield group
                group = []
            group.append(examined)
        yield group


def _bytes(group: Sequence[Examined]) -> int:
    return sum(examined.file.bytes for examined in group)


def _likeness(examined: Examined) -> str:
    return repr(examined.layout)


def _load_group(
    connection: duckdb.DuckDBPyConnection, dataset: Dataset, group: list[Examined], now: dt.datetime
) -> list[Outcome]:
    """Load the group in one transaction; if a file breaks it, halve the group until that file is alone."""
    layout = _layout_of(group[0])
    if _reads_in_bulk(layout):
        try:
            return _load_transaction(connection, dataset, group, now, _stage_in_bulk)
        except _TextLostError as lost:
            whole = [examined for examined in group if examined.batch_id not in lost.batch_ids]
            lossy = [examined for examined in group if examined.batch_id in lost.batch_ids]
            outcomes = _load_group(connection, dataset, whole, now) if whole else []
            return outcomes + [one for careful in lossy for one in _load_by_record(connection, dataset, careful, now)]
        except duckdb.Error as error:
            problem = error if isinstance(error, duckdb.InvalidInputException) else _problem_of_reading(group)
            if problem is None:  # the files are readable, so the warehouse has the problem
                raise
            if len(group) > 1:
                middle = len(group) // 2
                halves = (group[:middle], group[middle:])
                return [outcome for half in halves for outcome in _load_group(connection, dataset, half, now)]
            if layout.format == "parquet":
                message = str(damaged_parquet(group[0].file, problem))
                return [_reject(connection, dataset, replace(group[0], message=message), now)]
    return [outcome for examined in group for outcome in _load_by_record(connection, dataset, examined, now)]


def _load_by_record(
    connection: duckdb.DuckDBPyConnection, dataset: Dataset, examined: Examined, now: dt.datetime
) -> list[Outcome]:
    try:
        return _load_transaction(connection, dataset, [examined], now, _stage_by_record)
    except FileRejectedError as error:
        return [_reject(connection, dataset, replace(examined, message=str(error)), now)]


def _problem_of_reading(group: Sequence[Examined]) -> duckdb.Error | None:
    """Return DuckDB's error when it reads the files without the warehouse; None if it can read them."""
    source = _source_sql(_layout_of(group[0]), [_bulk_path(examined) for examined in group])
    with duckdb.connect() as apart:
        try:
            apart.execute(f"select bit_xor(hash(source)) from {source} as source").fetchall()
        except duckdb.Error as error:
            return error
    return None


def _layout_of(examined: Examined) -> Layout:
    if examined.layout is None:
        raise ValueError(f"{examined.file.name} was rejected and has no layout")
    return examined.layout


def _reads_in_bulk(layout: Layout) -> bool:
    return layout.format == "parquet" or (layout.format == "csv" and layout.plain)


class _TextLostError(Exception):
    """DuckDB did not read all text of some CSV files."""

    def __init__(self, batch_ids: set[str]) -> None:
        super().__init__(f"DuckDB did not read all of batch {', '.join(sorted(batch_ids))}")
        self.batch_ids = batch_ids


class _FileChangedError(Exception):
    """A file of the group was written to while it was read."""


def _load_transaction(
    connection: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    group: list[Examined],
    now: dt.datetime,
    stage: Callable[[duckdb.DuckDBPyConnection, list[Examined]], str],
) -> list[Outcome]:
    """Stage the rows of the group, quarantine the broken ones and keep the others: all or nothing."""
    files = {
        "path": [_path(examined) for examined in group],
        "batch_id": [examined.batch_id for examined in group],
        "file": [examined.file.name for examined in group],
    }
    connection.register("files_of_group", pa.table(files))
    try:
        with transaction(connection):
            connection.execute(_QUARANTINE)
            staged = stage(connection, group)
            _quarantine_broken_rows(connection, dataset, group, staged)
            outcomes = _keep_staged_rows(connection, dataset, group, staged, now)
            connection.execute("drop table staged")
            if not all(still_as_listed(examined.file) for examined in group):
                raise _FileChangedError
    except (_FileChangedError, _TextLostError, FileRejectedError, duckdb.Error, OSError):
        is_same = {examined.batch_id: still_as_listed(examined.file) for examined in group}
        if all(is_same.values()):
            raise
        outcomes = [_changed(dataset, examined) for examined in group if not is_same[examined.batch_id]]
        rest = [examined for examined in group if is_same[examined.batch_id]]
        return outcomes + (_load_group(connection, dataset, rest, now) if rest else [])
    finally:
        connection.unregister("files_of_group")
    return outcomes


def _path(examined: Examined) -> str:
    return str(examined.file.path.absolute())


def _bulk_path(examined: Examined) -> str:
    """Return the path with `*`, `?` and `[` escaped, which DuckDB's readers would treat as patterns."""
    return "".join(f"[{one}]" if one in "*?[" else one for one in _path(examined))


def _stage_in_bulk(connection: duckdb.DuckDBPyConnection, group: list[Examined]) -> str:
    """Let DuckDB read the files into the table `staged`; return the SQL of its rows with batch, file and row.

    A row's number is its position in the table, which keeps the order of the files: numbering while reading would
    limit the reader to one thread. Inside a transaction DuckDB counts positions from a large number, not from 0.
    """
    layout = _layout_of(group[0])
    source = _source_sql(layout, [_bulk_path(examined) for examined in group])
    if len(group) == 1:
        connection.execute(f"create or replace temp table staged as select * exclude (filename) from {source}")
        _require_all_text(connection, group, quote_literal(_path(group[0])))
        batch_id, name = quote_literal(group[0].batch_id), quote_literal(group[0].file.name)
        number = "rowid - (select min(rowid) from staged) + 1"
        return f"(select *, {batch_id} as batch_id, {name} as file, {number} as source_row from staged)"
    connection.execute(f"create or replace temp table staged as select * from {source}")
    _require_all_text(connection, group, "filename")
    starts = "(select filename, min(rowid) as start from staged group by filename)"
    return (
        f"(select staged.*, batch_id, file, staged.rowid - start + 1 as source_row from staged join {starts} "
        "using (filename) join files_of_group on path = filename)"
    )


def _require_all_text(connection: duckdb.DuckDBPyConnection, group: Sequence[Examined], path: str) -> None:
    """Raise _TextLostError unless the staged cells are as long as the files.

    DuckDB's reader is too lenient, and not consistently: among many files, it silently drops everything after a
    quotation mark that is never closed, and spaces around a quoted cell.
    path: SQL for the file of a staged row.
    """
    layout = _layout_of(group[0])
    if layout.format != "csv":
        return
    together = f"concat({', '.join(map(quote_identifier, _column_names(layout)))})"
    uncounted = "strlen(cells) - strlen(translate(cells, chr(34) || chr(10) || chr(13), ''))"
    has_any = " or ".join(f"contains(cells, chr({code}))" for code in (34, 10, 13))
    delimiters = len(layout.header) - 1
    staged = dict(
        connection.execute(
            f"select path, sum(strlen(cells) - case when {has_any} then {uncounted} else 0 end + {delimiters}) "
            f"from (select {path} as path, {together} as cells from staged) group by path"
        ).fetchall()
    )
    lossy = {one.batch_id for one in group if staged.get(_path(one), 0) + layout.header_bytes != one.text_bytes}
    if lossy:
        raise _TextLostError(lossy)


def _source_sql(layout: Layout, paths: Sequence[str]) -> str:
    """Return the SQL that reads the files; columns have the contract's names, unknown ones their position."""
    listed = f"[{', '.join(quote_literal(path) for path in paths)}]"
    names = _column_names(layout)
    if layout.format == "parquet":
        identifiers = [quote_identifier(name) for name in names]
        columns = ", ".join(f"nullif(cast({name} as varchar), '') as {name}" for name in identifiers)
        return (
            f"(select {columns}, filename from read_parquet({listed}, filename = '_path', hive_partitioning = false) "
            f"as source ({', '.join(identifiers)}, filename))"
        )
    columns = ", ".join(f"{quote_literal(name)}: 'VARCHAR'" for name in names)
    return (
        f"read_csv({listed}, columns = {{{columns}}}, auto_detect = false, header = true, strict_mode = true, "
        f"delim = {quote_literal(layout.delimiter)}, quote = '\"', escape = '\"', "
        "filename = true, hive_partitioning = false)"
    )


def _column_names(layout: Layout) -> list[str]:
    return [name if name is not None else f"_unknown_{index}" for index, name in enumerate(layout.header)]


def _extra_sql(layout: Layout) -> str:
    if not layout.extra:
        return "cast(null as varchar)"
    unknown = [quote_identifier(f"_unknown_{index}") for index in layout.extra]
    pairs = ", ".join(
        f"{quote_literal(title)}, {column}" for title, column in zip(layout.extra.values(), unknown, strict=True)
    )
    return f"case when coalesce({', '.join(unknown)}) is not null then cast(json_object({pairs}) as varchar) end"


def _stage_by_record(connection: duckdb.DuckDBPyConnection, group: list[Examined]) -> str:
    """Read one file record by record into the table `staged`; quarantine records that cannot be split."""
    (examined,) = group
    layout = _layout_of(examined)
    names = _column_names(layout)
    columns = ", ".join(f"{quote_identifier(name)} varchar" for name in names)
    connection.execute(f"create or replace temp table staged ({columns}, source_row bigint)")
    for records in _chunks(read_records(examined.file, layout)):
        whole = [record for record in records if record.cells is not None]
        cells = list(zip(*(record.cells for record in whole if record.cells), strict=True)) or [()] * len(names)
        arrays = [pa.array(column, pa.string()) for column in cells]
        arrays.append(pa.array([record.row for record in whole], pa.int64()))
        connection.register("records", pa.table(arrays, names=[*names, "source_row"]))
        connection.execute("insert into staged select * from records")
        connection.unregister("records")
        broken = [record for record in records if record.cells is None]
        _append_to_quarantine(
            connection,
            examined.batch_id,
            [record.row for record in broken],
            [record.problem for record in broken],
            [record.text for record in broken],
        )
    batch_id, name = quote_literal(examined.batch_id), quote_literal(examined.file.name)
    return f"(select *, {batch_id} as batch_id, {name} as file from staged)"


def _chunks(records: Iterable[Record]) -> Iterator[list[Record]]:
    iterator = iter(records)
    while chunk := list(islice(iterator, _CHUNK_RECORDS)):
        yield chunk


def _append_to_quarantine(
    connection: duckdb.DuckDBPyConnection,
    batch_id: str,
    rows: Sequence[int],
    reasons: Sequence[str | None],
    texts: Sequence[str],
) -> None:
    if not rows:
        return
    frame = pa.table(
        {
            "source_row": pa.array(rows, pa.int64()),
            "reason": pa.array(reasons, pa.string()),
            "text": pa.array(texts, pa.large_string()),
        }
    )
    connection.register("broken_records", frame)
    connection.execute("insert into quarantine select ?, source_row, reason, text from broken_records", [batch_id])
    connection.unregister("broken_records")


def _quarantine_broken_rows(
    connection: duckdb.DuckDBPyConnection, dataset: Dataset, group: list[Examined], staged: str
) -> None:
    """Write the staged rows that break the contract, and those that could not be split, to `ops.rejected_rows`."""
    present = _layout_of(group[0]).present
    connection.execute(
        "create or replace temp table broken as "
        f"select batch_id, source_row, {dataset.breaches_sql(present)} as reason, "
        f"{_row_json_sql(present)} as row_json from {staged} where {dataset.broken_sql(present)}"
    )
    batches = {batch_id for (batch_id,) in connection.execute("select distinct batch_id from broken").fetchall()}
    for examined in group:
        if examined.batch_id in batches:
            _quarantine_with_text(connection, examined)
    connection.execute(
        "insert into ops.rejected_rows "
        "select ?, batch_id, file, source_row, reason, text from quarantine join files_of_group using (batch_id) "
        "order by batch_id, source_row",
        [dataset.name],
    )


def _keep_staged_rows(
    connection: duckdb.DuckDBPyConnection, dataset: Dataset, group: list[Examined], staged: str, now: dt.datetime
) -> list[Outcome]:
    """Copy the valid staged rows into the raw table, and record the batches."""
    layout = _layout_of(group[0])
    present = ", ".join(quote_identifier(name) for name in layout.present)
    anything_broken = connection.execute("select exists (from broken)").fetchone() == (True,)
    only_valid = " anti join broken using (batch_id, source_row)" if anything_broken else ""
    connection.execute(
        f"insert into {raw_table(dataset.name)} ({present}, {', '.join(PROVENANCE)}) "
        f"select {present}, {_extra_sql(layout)}, batch_id, file, source_row from {staged} as staged_rows{only_valid}"
    )
    connection.execute("drop table broken")
    return _record_batches(connection, dataset, group, now)


def _of_group(group: Sequence[Examined]) -> str:
    return f"_batch_id in ({', '.join(quote_literal(examined.batch_id) for examined in group)})"


def _row_json_sql(present: Sequence[str]) -> str:
    pairs = ", ".join(f"{quote_literal(name)}, {quote_identifier(name)}" for name in present)
    return f"cast(json_object({pairs}) as varchar)"


def _quarantine_with_text(connection: duckdb.DuckDBPyConnection, examined: Examined) -> None:
    """Quarantine a batch's broken rows with their verbatim text, read from the file again; as JSON for Parquet."""
    layout = _layout_of(examined)
    if layout.format == "parquet":
        connection.execute(
            "insert into quarantine select batch_id, source_row, reason, row_json from broken where batch_id = ?",
            [examined.batch_id],
        )
        return
    broken = connection.execute(
        "select source_row, reason from broken where batch_id = ? order by source_row", [examined.batch_id]
    ).fetchnumpy()
    rows, reasons, found = np.asarray(broken["source_row"]), np.asarray(broken["reason"]), 0
    for records in _chunks(read_records(examined.file, layout)):
        first, last = np.searchsorted(rows, [records[0].row, records[-1].row + 1])
        texts = {record.row: record.text for record in records}
        _append_to_quarantine(
            connection,
            examined.batch_id,
            rows[first:last].tolist(),
            reasons[first:last].tolist(),
            [texts[row] for row in rows[first:last].tolist()],
        )
        found += int(last - first)
    if found != len(rows):
        raise RuntimeError(
            f"{examined.file.name}: {len(rows):,} rows break the contract but only {found:,} were found in the file"
        )


def _record_batches(
    connection: duckdb.DuckDBPyConnection, dataset: Dataset, group: list[Examined], now: dt.datetime
) -> list[Outcome]:
    loaded = dict(
        connection.execute(
            f"select _batch_id, count(*) from {raw_table(dataset.name)} where {_of_group(group)} group by _batch_id"
        ).fetchall()
    )
    rejected = dict(connection.execute("select batch_id, count(*) from quarantine group by batch_id").fetchall())
    outcomes = []
    for examined in group:
        good, bad = loaded.get(examined.batch_id, 0), rejected.get(examined.batch_id, 0)
        message = _remark(_layout_of(examined), good + bad)
        outcomes.append(
            Outcome(dataset.name, examined.file.name, examined.batch_id, "loaded", message, good + bad, good, bad)
        )
    _insert_batches(connection, group, outcomes, now)
    return outcomes


def _remark(layout: Layout, rows: int) -> str | None:
    if rows == 0:
        return "has a header but no rows"
    if layout.encoding in ("cp1252", "latin-1"):
        return f"is not UTF-8; read as {layout.encoding}"
    return None


def _insert_batches(
    connection: duckdb.DuckDBPyConnection, group: Sequence[Examined], outcomes: Sequence[Outcome], now: dt.datetime
) -> None:
    """Write the batches' records; they replace records of an earlier rejection of the same content."""
    files = [examined.file for examined in group]
    records = pa.table(
        {
            "dataset": [outcome.dataset for outcome in outcomes],
            "batch_id": [outcome.batch_id for outcome in outcomes],
            "content_sha256": pa.array([examined.content_sha256 for examined in group], pa.string()),
            "file": [outcome.file for outcome in outcomes],
            "format": pa.array([one.layout.format if one.layout else None for one in group], pa.string()),
            "bytes": [file.bytes for file in files],
            "arrived_at": [file.arrived_at for file in files],
            "file_date": pa.array([file.date_in_name for file in files], pa.date32()),
            "file_number": pa.array([file.number_in_name for file in files], pa.int64()),
            "effective_date": [file.date_in_name or file.arrived_at.date() for file in files],
            "rows": [outcome.rows for outcome in outcomes],
            "loaded": [outcome.loaded for outcome in outcomes],
            "rejected": [outcome.rejected for outcome in outcomes],
            "status": [outcome.status for outcome in outcomes],
            "message": pa.array([outcome.message for outcome in outcomes], pa.string()),
            "loaded_at": [now] * len(files),
            "modelled_at": pa.nulls(len(files), pa.timestamp("us")),
        }
    )
    connection.register("records_of_batches", records)
    connection.execute("insert or replace into ops.batches by name select * from records_of_batches")
    connection.unregister("records_of_batches")
