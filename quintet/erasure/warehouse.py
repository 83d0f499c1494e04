"""Erase a person from warehouse and snapshots, and rewrite the files: freed blocks would keep the rows."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from quintet.domain import Persons
from quintet.erasure.unread import erase_unread, erase_unread_of_snapshot
from quintet.forgotten import REASON
from quintet.ingest.contract import Dataset, parsing_macros
from quintet.ingest.forgotten import quarantine_person
from quintet.settings import Settings
from quintet.warehouse.database import PUBLISHED, STORAGE_VERSION, open_warehouse, published_file
from quintet.warehouse.origin import record_publication
from quintet.warehouse.publish import point_current_to
from quintet.warehouse.snapshot import CURRENT, NoSnapshotError, current_snapshot
from quintet.warehouse.sql import quote_identifier, quote_literal

_LEAST_LETTERS = 5
"""A text of a person that is shorter says nothing about whose row it is in."""

_PARTIAL = ".tmp"


@dataclass(frozen=True)
class Person:
    """Whom to erase. id: as `contract.as_code` reads it. pseudonym: replaces the id in rows about others."""

    persons: Persons
    id: str
    pseudonym: str


def erase_from_warehouse(
    settings: Settings, person: Person, datasets: Sequence[Dataset], now: dt.datetime
) -> Counter[str]:
    """Erase a person from the warehouse and from all snapshots; return the number of rows by table.

    The caller keeps runs away. The raw rows become quarantined rows without a text, so that the counts of their files
    still add up.
    """
    counts: Counter[str] = Counter()
    if not settings.warehouse.exists():
        return counts
    fresh = settings.warehouse.with_name(f"{settings.warehouse.name}.fresh")
    files = {"own": settings.warehouse, PUBLISHED: published_file(settings.warehouse)}
    with open_warehouse(
        settings.warehouse,
        memory_limit=settings.memory_limit,
        threads=settings.threads,
        lock_wait_seconds=settings.lock_wait_seconds,
    ) as connection:
        ((own,),) = connection.execute("select current_database()").fetchall()
        if _has_bookkeeping(connection):
            mine = [dataset for dataset in datasets if person.persons.kind in dataset.persons.values()]
            counts += _erase_ingested(connection, person, mine)
        for catalog in (own, PUBLISHED):
            counts += _erase_rows(connection, catalog, person)
        counts += _replace_snapshots(connection, settings.serving, person, now)
        for catalog, name in ((own, "own"), (PUBLISHED, PUBLISHED)):
            _copy_live_rows(connection, catalog, fresh.with_name(f"{fresh.name}.{name}"))
    for name, file in files.items():
        fresh.with_name(f"{fresh.name}.{name}").replace(file)
        file.with_name(f"{file.name}.wal").unlink(missing_ok=True)
    return counts


def _has_bookkeeping(connection: duckdb.DuckDBPyConnection) -> bool:
    connection.execute("create schema if not exists contract")
    connection.execute(parsing_macros())
    found = connection.execute("select count(*) from duckdb_tables() where schema_name = 'ops'").fetchone()
    return bool(found and found[0])


def _erase_ingested(connection: duckdb.DuckDBPyConnection, person: Person, datasets: Iterable[Dataset]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for dataset in datasets:
        texts = [person.id, *_texts_of(connection, dataset, person)]
        counts[f"raw.{dataset.name}"] = quarantine_person(connection, dataset, person.persons.kind, person.id)
        is_named = " or ".join(f"contains(text, {quote_literal(text)})" for text in texts)
        ((named,),) = connection.execute(
            f"update ops.rejected_rows set text = null, reason = ? where dataset = ? and ({is_named})",
            [REASON, dataset.name],
        ).fetchall()
        counts["ops.rejected_rows"] += named
        counts["ops.unread_files"] += erase_unread(connection, dataset.name, texts)
        ((keys,),) = connection.execute(
            "update ops.source_rows set key = ? "
            "where dataset = ? and list_contains(from_json(key, '[\"varchar\"]'), ?)",
            [f'["{person.pseudonym}"]', dataset.name, person.id],
        ).fetchall()
        counts["ops.source_rows"] += keys
    return counts


def _texts_of(connection: duckdb.DuckDBPyConnection, dataset: Dataset, person: Person) -> list[str]:
    """Return the person's own unique values in the raw rows, such as an e-mail address: no other person has them."""
    (column,) = [quote_identifier(name) for name, kind in dataset.persons.items() if kind == person.persons.kind]
    table, found = f"raw.{quote_identifier(dataset.name)}", []
    for name in dataset.columns:
        value = quote_identifier(name)
        rows = connection.execute(
            f"select {value} from {table} group by {value} having length({value}) >= ? "
            f"and bool_and(contract.as_code({column}) = ?)",
            [_LEAST_LETTERS, person.id],
        ).fetchall()
        found += [text for (text,) in rows]
    return found


def _erase_rows(connection: duckdb.DuckDBPyConnection, catalog: str, person: Person) -> Counter[str]:
    """Delete the person's rows from every table with a column of its id, and replace mentions in the others."""
    counts: Counter[str] = Counter()
    for schema, table, column, is_mention in _columns(connection, catalog, person.persons):
        name = f"{quote_identifier(catalog)}.{quote_identifier(schema)}.{quote_identifier(table)}"
        mine = f"cast({quote_identifier(column)} as varchar) = {quote_literal(person.id)}"
        change = (
            f"update {name} set {quote_identifier(column)} = {quote_literal(person.pseudonym)} where {mine}"
            if is_mention
            else f"delete from {name} where {mine}"
        )
        ((count,),) = connection.execute(change).fetchall()
        counts[f"{schema}.{table}"] += count
    for (name,) in connection.execute(
        "select database_name || '.' || schema_name || '.' || table_name from duckdb_columns() join duckdb_tables() "
        "using (database_name, schema_name, table_name) where database_name = ? "
        "and column_name in ('person_kind', 'person_id', 'group_id') group by all having count(*) = 3 order by all",
        [catalog],
    ).fetchall():  # tables of cases, about persons of several kinds
        ((count,),) = connection.execute(
            f"delete from {name} where person_kind = ? and person_id = ?", [person.persons.kind, person.id]
        ).fetchall()
        counts[name.partition(".")[2]] += count
        connection.execute(  # a cluster has the id of one of its members
            f"update {name} set group_id = ? where person_kind = ? and group_id = ?",
            [person.pseudonym, person.persons.kind, person.id],
        )
    return counts


def _columns(
    connection: duckdb.DuckDBPyConnection, catalog: str, persons: Persons
) -> Iterator[tuple[str, str, str, bool]]:
    """Yield schema, table and column of the ids in a catalog, and whether it is a mention; mentions last."""
    for names, is_mention in ((persons.columns, False), (persons.mentions, True)):
        for row in connection.execute(
            "select schema_name, table_name, column_name from duckdb_columns() join duckdb_tables() "
            "using (database_name, schema_name, table_name) where database_name = ? and list_contains(?, column_name) "
            "order by all",
            [catalog, list(names)],
        ).fetchall():
            yield (*row, is_mention)


def _copy_live_rows(connection: duckdb.DuckDBPyConnection, catalog: str, to: Path) -> None:
    """Write a catalog to a new file, which has no blocks of deleted rows."""
    for left in (to, to.with_name(f"{to.name}.wal")):
        left.unlink(missing_ok=True)
    options = f" (storage_version {quote_literal(STORAGE_VERSION)})" if catalog != _own(connection) else ""
    connection.execute(f"attach {quote_literal(str(to))} as fresh{options}")
    try:
        connection.execute(f"copy from database {quote_identifier(catalog)} to fresh")
        connection.execute("checkpoint fresh")
    finally:
        connection.execute("detach fresh")


def _own(connection: duckdb.DuckDBPyConnection) -> str:
    ((own,),) = connection.execute("select current_database()").fetchall()
    return str(own)


def _erase_texts_of_snapshot(connection: duckdb.DuckDBPyConnection) -> None:
    """Erase from the attached copy of a snapshot the texts of files that were erased from the warehouse."""
    tables = connection.execute("select table_name from duckdb_tables() where database_name = 'erased'").fetchall()
    if ("ops_rejected_rows",) in tables:
        connection.execute(
            "update erased.marts.ops_rejected_rows as copy set text = null, reason = $reason from ops.rejected_rows "
            "as own where own.dataset = copy.dataset and own.batch_id = copy.batch_id "
            "and own.source_row = copy.source_row and own.reason = $reason",
            {"reason": REASON},
        )
    if ("ops_unread_files",) in tables:
        erase_unread_of_snapshot(connection, "erased")


def _replace_snapshots(
    connection: duckdb.DuckDBPyConnection, serving: Path, person: Person, now: dt.datetime
) -> Counter[str]:
    """Publish the current snapshot again without the person, under another id, and remove all former ones.

    Whoever has an answer of the former one in a cache must ask again: its id is part of every ETag.
    """
    try:
        current = current_snapshot(serving)
    except NoSnapshotError:
        return Counter()
    new_id = f"{now:%Y%m%dT%H%M%S%f}-forget"
    path = serving / f"{new_id}.duckdb"
    scratch, partial = (serving / f"{new_id}.duckdb{_PARTIAL}{number}" for number in (1, 2))
    for left in serving.glob(f"*.duckdb{_PARTIAL}*"):
        left.unlink()
    scratch.write_bytes(current.read_bytes())
    connection.execute(f"attach {quote_literal(str(scratch))} as erased")
    try:
        counts = _erase_rows(connection, "erased", person)
        _erase_texts_of_snapshot(connection)
        connection.execute("update erased.marts.snapshot set snapshot_id = ?", [new_id])
        _copy_live_rows(connection, "erased", partial)
    finally:
        connection.execute("detach erased")
    record_publication(connection, new_id)
    partial.rename(path)
    point_current_to(path)
    for former in serving.glob("*.duckdb*"):
        if former.name not in (CURRENT, path.name):
            former.unlink()
    return Counter({f"snapshot {name}": count for name, count in counts.items()})
