"""Load inbox files into raw tables: each file once, each row either loaded or quarantined with its reason.

A batch is identified by the hash of its content, so loading is idempotent: a crash leaves a whole transaction or
nothing, and a second load finds the batch there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import duckdb
import pyarrow as pa

from quintet.ingest.batches import Outcome, insert_batches
from quintet.ingest.contract import Dataset
from quintet.ingest.doubt import Doubts
from quintet.ingest.examine import Examined, examine, layout_of, path_of
from quintet.ingest.files import Layout, damaged_parquet
from quintet.ingest.forgotten import forgotten_among
from quintet.ingest.inbox import InboxFile, still_as_listed
from quintet.ingest.mapping import Used, spellings_sql, used_spellings
from quintet.ingest.narrowed import quarantine_by_new_contract
from quintet.ingest.quarantine import QUARANTINE, is_empty, quarantine_broken_rows
from quintet.ingest.raw_tables import PROVENANCE, raw_table
from quintet.ingest.rejection import FileRejectedError
from quintet.ingest.reread import outdated_batches, unload, used_columns
from quintet.ingest.staging import (
    TextLostError,
    extra_sql,
    problem_of_reading,
    reads_in_bulk,
    stage_by_record,
    stage_in_bulk,
)
from quintet.ingest.unread import note_unread
from quintet.warehouse.database import transaction
from quintet.warehouse.sql import quote_identifier, quote_literal

_GROUP_FILES = 1_000
_GROUP_BYTES = 256 << 20


def load_files(
    connection: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    files: Sequence[InboxFile],
    now: dt.datetime,
    report: Callable[[str], None],
    *,
    is_inbox: bool = True,
) -> list[Outcome]:
    """Load the files into `raw.<dataset>`, each new content once, and return the outcome of each file.

    now: UTC without zone, recorded with the batches. report: called with the progress after each group of files.
    is_inbox: whether these are all files of the inbox; those whose mapping has changed are then read again.
    Running it again, also after a crash, loads what is still missing. Raises duckdb.Error if the warehouse cannot be
    written (disk full); nothing of the current group is kept then.
    """
    if narrowed := quarantine_by_new_contract(connection, dataset):
        report(f"{dataset.name}: {narrowed:,} rows loaded before break the contract of today and are quarantined")
    listed = [examine(file, dataset) for file in files]
    mapped_before = _unload_outdated(connection, dataset, listed, report) if is_inbox else {}
    known = _known(connection, dataset)
    outcomes: list[Outcome] = []
    fresh: dict[str, Examined] = {}
    for examined in listed:
        first_name = known.get(examined.batch_id) or _name(fresh.get(examined.batch_id))
        if first_name is not None:
            outcomes.append(_outcome(dataset, examined, "known", f"same content as {first_name}"))
        elif not still_as_listed(examined.file):
            outcomes.append(_changed(dataset, examined))
        elif examined.layout is None:
            outcomes.append(_reject(connection, dataset, examined, now, mapped_before.get(examined.batch_id)))
        else:
            fresh[examined.batch_id] = examined
    done = 0
    for group in _groups(list(fresh.values())):
        outcomes += _load_group(connection, dataset, group, now)
        done += len(group)
        report(f"{dataset.name}: {done:,} of {len(fresh):,} new files")
    return outcomes


def _unload_outdated(
    connection: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    listed: Sequence[Examined],
    report: Callable[[str], None],
) -> dict[str, str]:
    """Remove what is to be read in another way now; return the mappings it was loaded with, by batch."""
    outdated = outdated_batches(connection, dataset)
    if not outdated:
        return {}
    here = {examined.batch_id for examined in listed if still_as_listed(examined.file)}
    for batch_id, file in outdated.items():
        again = "is read again" if batch_id in here else "stays as it is: drop it into the inbox to have it read again"
        report(f"{dataset.name}: the mapping of {file} has changed; it {again}")
    return unload(connection, dataset, outdated.keys() & here)


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


def _reject(
    connection: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    examined: Examined,
    now: dt.datetime,
    mapped_before: str | None = None,
) -> Outcome:
    if forgotten_among(connection, dataset, examined.titles):
        message = (
            f"{examined.file.name} has no header: its first line names a person who was forgotten. Remove this line, "
            "write the names of the columns there, and drop the file again."
        )
        examined = replace(examined, titles=(), lacking=(), message=message)
    mapping = mapped_before or _taken_back_before(connection, dataset, examined)
    rejection = replace(_outcome(dataset, examined, "rejected", examined.message), mapping=mapping)
    insert_batches(connection, [examined], [rejection], now)
    note_unread(connection, dataset, [examined])
    return rejection


def _taken_back_before(connection: duckdb.DuckDBPyConnection, dataset: Dataset, examined: Examined) -> str | None:
    """Return the mapping that an earlier run recorded as taken back: that run may have published nothing."""
    rows = connection.execute(
        "select mapping from ops.batches where dataset = ? and batch_id = ? and status = 'rejected'",
        [dataset.name, examined.batch_id],
    ).fetchall()
    return rows[0][0] if rows else None


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
    layout = layout_of(group[0])
    if reads_in_bulk(layout):
        try:
            return _load_transaction(connection, dataset, group, now, stage_in_bulk)
        except TextLostError as lost:
            whole = [examined for examined in group if examined.batch_id not in lost.batch_ids]
            lossy = [examined for examined in group if examined.batch_id in lost.batch_ids]
            outcomes = _load_group(connection, dataset, whole, now) if whole else []
            return outcomes + [one for careful in lossy for one in _load_by_record(connection, dataset, careful, now)]
        except duckdb.Error as error:
            problem = error if isinstance(error, duckdb.InvalidInputException) else problem_of_reading(group)
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
        return _load_transaction(connection, dataset, [examined], now, stage_by_record)
    except FileRejectedError as error:
        return [_reject(connection, dataset, replace(examined, message=str(error)), now)]


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
        "path": [path_of(examined) for examined in group],
        "batch_id": [examined.batch_id for examined in group],
        "file": [examined.file.name for examined in group],
    }
    connection.register("files_of_group", pa.table(files))
    try:
        with transaction(connection):
            connection.execute(QUARANTINE)
            staged = stage(connection, group)
            used = _used(connection, dataset, group, staged)
            staged = spellings_sql(dataset.mapping.spellings, layout_of(group[0]).present, staged)
            doubts = quarantine_broken_rows(connection, dataset, group, staged)
            _keep_staged_rows(connection, dataset, group, staged)
            outcomes = _record_batches(connection, dataset, group, doubts, used, now)
            connection.execute("drop table staged")
            if not all(still_as_listed(examined.file) for examined in group):
                raise _FileChangedError
    except (_FileChangedError, TextLostError, FileRejectedError, duckdb.Error, OSError):
        is_same = {examined.batch_id: still_as_listed(examined.file) for examined in group}
        if all(is_same.values()):
            raise
        outcomes = [_changed(dataset, examined) for examined in group if not is_same[examined.batch_id]]
        rest = [examined for examined in group if is_same[examined.batch_id]]
        return outcomes + (_load_group(connection, dataset, rest, now) if rest else [])
    finally:
        connection.unregister("files_of_group")
    return outcomes


def _used(
    connection: duckdb.DuckDBPyConnection, dataset: Dataset, group: list[Examined], staged: str
) -> dict[str, str | None]:
    """Return the mapping that each batch of the group has used, as JSON."""
    layout = layout_of(group[0])
    columns = used_columns(dataset, layout)
    spellings = used_spellings(connection, dataset.mapping.spellings, layout.present, staged)
    return {
        one.batch_id: Used(columns.columns, spellings.get(one.batch_id, {}), columns.shape).to_json() for one in group
    }


def _keep_staged_rows(
    connection: duckdb.DuckDBPyConnection, dataset: Dataset, group: list[Examined], staged: str
) -> None:
    """Copy the valid staged rows into the raw table."""
    layout = layout_of(group[0])
    present = ", ".join(quote_identifier(name) for name in layout.present)
    only_valid = "" if is_empty(connection, "broken") else " anti join broken using (batch_id, source_row)"
    values = ", ".join(_value_sql(dataset, name) for name in layout.present)
    connection.execute(
        f"insert into {raw_table(dataset.name)} ({present}, {', '.join(PROVENANCE)}) "
        f"select {values}, {extra_sql(layout)}, batch_id, file, source_row from {staged} as staged_rows{only_valid}"
    )
    connection.execute("drop table broken")


def _value_sql(dataset: Dataset, column: str) -> str:
    """Return the SQL of a value to keep: the text, but 100000 for the id 100000.0 of a data frame with missing ids."""
    name = quote_identifier(column)
    if column not in dataset.identifiers:
        return name
    return (
        f"case when ends_with({name}, '.0') and regexp_full_match({name}, '\\d{{4,}}\\.0') "
        f"then left({name}, -2) else {name} end"
    )


def _of_group(group: Sequence[Examined]) -> str:
    return f"_batch_id in ({', '.join(quote_literal(examined.batch_id) for examined in group)})"


def _record_batches(
    connection: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    group: list[Examined],
    doubts: Doubts,
    used: Mapping[str, str | None],
    now: dt.datetime,
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
        remarks = [_remark(layout_of(examined), good + bad), doubts.remark(examined.batch_id)]
        message = "; ".join(remark for remark in remarks if remark) or None
        name, mapping = examined.file.name, used[examined.batch_id]
        outcomes.append(
            Outcome(dataset.name, name, examined.batch_id, "loaded", message, good + bad, good, bad, mapping)
        )
    insert_batches(connection, group, outcomes, now)
    return outcomes


def _remark(layout: Layout, rows: int) -> str | None:
    if rows == 0:
        return "has a header but no rows"
    if layout.encoding in ("cp1252", "latin-1"):
        return f"is not UTF-8; read as {layout.encoding}"
    return None
