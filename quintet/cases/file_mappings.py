"""What people have mapped in files that do not fit their contract: in the state store, for the next build to read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from quintet.ingest.contract import Dataset, fold_header
from quintet.ingest.mapping import FileMapping
from quintet.state.outbox import at_text
from quintet.state.recorded import RecordedTable
from quintet.state.retention import Retention
from quintet.state.store import Connection, StateStore
from quintet.warehouse.snapshot import NoSnapshotError, current_snapshot, open_snapshot

OWNER = "file_mappings"
TABLE = "file_mappings"

MIGRATIONS = (
    """
    create table if not exists file_mappings (
        mapping_id integer primary key,
        case_id text not null,
        dataset text not null,
        shape text not null,
        column_name text not null,
        given text not null,
        known text not null,
        is_active integer not null,
        decided_at text not null,
        decided_by text not null
    ) strict;
    """,
)
"""The script that creates the table in the state store."""

RETENTION = (Retention(TABLE, "Later files of the same shape are read by them."),)
"""How long the rows of this table stay."""

RECORDED = RecordedTable(
    TABLE,
    "ops",
    "Every title or spelling that a person mapped, or took back; the last row of a title or spelling applies.",
    {
        "mapping_id": "bigint",
        "case_id": "varchar",
        "dataset": "varchar",
        "shape": "varchar",
        "column_name": "varchar",
        "given": "varchar",
        "known": "varchar",
        "is_active": "boolean",
        "decided_at": "timestamp",
        "decided_by": "varchar",
    },
)


@dataclass(frozen=True)
class Mapped:
    """A title or a spelling of a dataset that a person maps.

    shape: of the header that the title stands in; empty for a spelling. column: of the contract. given: the title, or
    the spelling. known: the value that the spelling stands for; empty for a title.
    """

    dataset: str
    shape: str
    column: str
    given: str
    known: str = ""


def record(
    connection: Connection, case_id: str, mapped: Iterable[Mapped], at: dt.datetime, by: str, *, is_active: bool
) -> None:
    """Record that a person maps titles or spellings, or takes them back."""
    for one in mapped:
        connection.execute(
            "insert into file_mappings "
            "(case_id, dataset, shape, column_name, given, known, is_active, decided_at, decided_by) "
            "values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (case_id, one.dataset, one.shape, one.column, one.given, one.known, int(is_active), at_text(at), by),
        )


def of_case(connection: Connection, case_id: str) -> list[Mapped]:
    """Return what the verdict of a case maps."""
    rows = connection.execute(
        "select dataset, shape, column_name, given, known, is_active from file_mappings where case_id = ? "
        "order by mapping_id",
        (case_id,),
    ).fetchall()
    return list(_active(rows).values())


def active(store: StateStore) -> dict[str, FileMapping]:
    """Return what is mapped, by dataset."""
    rows = (
        store.read()
        .execute("select dataset, shape, column_name, given, known, is_active from file_mappings order by mapping_id")
        .fetchall()
    )
    columns: dict[str, dict[str, dict[str, str]]] = {}
    spellings: dict[str, dict[str, dict[str, str]]] = {}
    for one in _active(rows).values():
        if one.shape:
            of_shape = columns.setdefault(one.dataset, {}).setdefault(one.shape, {})
            for title in [title for title, column in of_shape.items() if column == one.column]:
                del of_shape[title]  # a later verdict reads the column from another title
            of_shape[fold_header(one.given)] = one.column
        else:
            spellings.setdefault(one.dataset, {}).setdefault(one.column, {})[one.given] = one.known
    return {name: FileMapping(columns.get(name, {}), spellings.get(name, {})) for name in {*columns, *spellings}}


def with_mappings(datasets: Iterable[Dataset], store: StateStore) -> list[Dataset]:
    """Return the datasets with what people have mapped in their files until now."""
    mapped = active(store)
    return [replace(dataset, mapping=mapped.get(dataset.name, dataset.mapping)) for dataset in datasets]


def count_new_mappings(store: StateStore, serving: Path) -> dict[str, int]:
    """Return the number of changes that the current snapshot does not have yet, by dataset; none without one."""
    try:
        with open_snapshot(current_snapshot(serving)) as snapshot:
            rows = snapshot.execute(
                "select case_id, dataset, given, decided_at from marts.ops_file_mappings"
            ).fetchall()
    except (NoSnapshotError, duckdb.CatalogException):
        return {}
    known = set(rows)
    new: dict[str, int] = {}
    for row in store.read().execute("select case_id, dataset, given, decided_at from file_mappings").fetchall():
        decided_at = dt.datetime.fromisoformat(row["decided_at"]).replace(tzinfo=None)
        if (row["case_id"], row["dataset"], row["given"], decided_at) not in known:
            new[row["dataset"]] = new.get(row["dataset"], 0) + 1
    return new


def taken_back(store: StateStore) -> set[str]:
    """Return the ids of the cases whose verdict maps a title or spelling that is not mapped any more."""
    rows = (
        store.read()
        .execute(
            "select case_id, dataset, shape, column_name, given, known, is_active from file_mappings "
            "order by mapping_id"
        )
        .fetchall()
    )
    of_cases: dict[str, list[Mapping[str, object]]] = {}
    for row in rows:
        of_cases.setdefault(str(row["case_id"]), []).append(row)
    mapped = _active(rows)
    return {case_id for case_id, own in of_cases.items() if not _active(own).keys() <= mapped.keys()}


def _key(one: Mapped) -> tuple[str, str, str]:
    if one.shape:
        return one.dataset, one.shape, fold_header(one.given)
    return one.dataset, one.column, one.given.strip().lower()


def _active(rows: Iterable[Mapping[str, object]]) -> dict[tuple[str, str, str], Mapped]:
    found: dict[tuple[str, str, str], Mapped] = {}
    for row in rows:
        one = Mapped(*(str(row[name]) for name in ("dataset", "shape", "column_name", "given", "known")))
        key = _key(one)
        before = found.get(key)
        if row["is_active"]:
            found.pop(key, None)  # the last one comes last
            found[key] = one
        elif before is not None and (before.column, before.known) == (one.column, one.known):
            del found[key]  # what another case maps to something else since then stays
    return found
