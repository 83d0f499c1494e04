"""Find out whether the warehouse is the one that the current snapshot was published from.

Each publication writes its id into both files of the warehouse before the snapshot becomes current, so that a lost
file, an older copy, and a file of another home are recognised. A warehouse is named by its first publication.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from quintet.warehouse.connect import connect_closed
from quintet.warehouse.database import PUBLISHED, WarehouseBusyError, published_file
from quintet.warehouse.snapshot import NoSnapshotError, current_snapshot, open_snapshot
from quintet.warehouse.sql import quote_identifier

PUBLICATIONS = "main.publications"

_DAMAGED = re.compile(r"not a valid DuckDB|corrupt|checksum|serialization error", re.IGNORECASE)
"""What DuckDB says of a file that it cannot read."""


@dataclass(frozen=True)
class Origin:
    """How the warehouse is related to the current snapshot.

    problem: why it must be rebuilt, in words; empty if it need not. unusable: the files to put aside.
    """

    problem: str = ""
    unusable: tuple[Path, ...] = ()


def record_publication(connection: duckdb.DuckDBPyConnection, snapshot_id: str) -> str:
    """Write the id of a publication into both files of the warehouse; return the warehouse's name."""
    ((own,),) = connection.execute("select current_database()").fetchall()
    tables = [f"{catalog}.{PUBLICATIONS}" for catalog in (quote_identifier(own), PUBLISHED)]
    for table in tables:
        connection.execute(f"create table if not exists {table} (warehouse varchar, snapshot_id varchar)")
    ((name,),) = connection.execute(f"select coalesce(min(warehouse), ?) from {tables[0]}", [snapshot_id]).fetchall()
    for table in tables:
        connection.execute(f"insert into {table} values (?, ?)", [name, snapshot_id])
    return str(name)


def origin_of(warehouse: Path, serving: Path) -> Origin:
    """Return how the warehouse is related to the current snapshot.

    A warehouse that another process has open is in use, and not examined. Without a snapshot there is no problem.
    """
    name, snapshot_id = _source_of_current(serving)
    if name is None:
        return Origin()
    publications: dict[Path, set[tuple[str, str]]] = {}
    for file in (warehouse, published_file(warehouse)):
        if not file.exists():
            return Origin(f"{file} is lost")
        try:
            publications[file] = _publications(file)
        except WarehouseBusyError:
            return Origin()
        except duckdb.Error as error:
            if not _DAMAGED.search(str(error)):
                raise
            return Origin(f"{file} is damaged", (file,))
    unusable = tuple(file for file, found in publications.items() if found and name not in {one for one, _ in found})
    stale = [file for file, found in publications.items() if (name, snapshot_id) not in found]
    if unusable:
        return Origin(f"{_listed(unusable)} belongs to another home", unusable)
    return Origin(f"{_listed(stale)} is empty or an older copy" if stale else "")


def _source_of_current(serving: Path) -> tuple[str | None, str]:
    """Return the name of the warehouse behind the current snapshot, and the snapshot's id.

    None if there is no snapshot, or an earlier release published it.
    """
    try:
        path = current_snapshot(serving)
    except NoSnapshotError:
        return None, ""
    with open_snapshot(path) as snapshot:
        result = snapshot.execute("from marts.snapshot")
        about = dict(zip([column[0] for column in result.description], result.fetchone() or (), strict=False))
    return about.get("warehouse"), str(about.get("snapshot_id", ""))


def put_aside(origin: Origin, now: dt.datetime) -> list[Path]:
    """Rename the files that cannot be used, with their logs; return their new names. now: UTC."""
    renamed = []
    for file in origin.unusable:
        to = file.with_name(f"{file.name}.{now:%Y%m%dT%H%M%S}.unused")
        renamed.append(file.rename(to))
        log = file.with_name(f"{file.name}.wal")
        if log.exists():
            log.rename(to.with_name(f"{to.name}.wal"))
    return renamed


def _publications(file: Path) -> set[tuple[str, str]]:
    """Return the publications of a file as (warehouse, snapshot id). Raises WarehouseBusyError if it is in use."""
    try:
        connection = connect_closed(file)
    except duckdb.IOException as error:
        if "Could not set lock" in str(error):
            raise WarehouseBusyError(f"{file} is in use") from error
        raise
    with connection:
        ((is_there,),) = connection.execute(
            "select count(*) > 0 from duckdb_tables() where schema_name || '.' || table_name = ?", [PUBLICATIONS]
        ).fetchall()
        return set(connection.execute(f"from {PUBLICATIONS}").fetchall()) if is_there else set()


def _listed(files: Iterable[Path]) -> str:
    return " and ".join(str(file) for file in files)
