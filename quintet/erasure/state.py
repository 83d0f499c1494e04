"""Erase a person from the SQLite files of the service and the stream."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from quintet.cases.store import erase_person
from quintet.erasure.warehouse import Person
from quintet.replicated import EPOCH
from quintet.replication.flow import FLUSHED
from quintet.state.features import FILE as FEATURES
from quintet.state.store import FILE
from quintet.warehouse.sql import quote_identifier


def erase_from_state(online: Path, person: Person, now: dt.datetime) -> Counter[str]:
    """Erase a person from the tables of its domain, and close its cases; return the rows by table. now: UTC."""
    counts: Counter[str] = Counter()
    persons = person.persons
    for file in sorted({FILE, *(file for file, _ in (*persons.state, *persons.state_mentions))}):
        if not (online / file).exists():
            continue
        with _rewritten(online / file) as connection:
            for (of, table), column in persons.state.items():
                if of == file and _has_table(connection, table):
                    counts[f"{file} {table}"] += connection.execute(
                        f"delete from {quote_identifier(table)} where cast({quote_identifier(column)} as text) = ?",
                        (person.id,),
                    ).rowcount
            for (of, table), column in persons.state_mentions.items():
                if of == file and _has_table(connection, table):
                    counts[f"{file} {table}"] += connection.execute(
                        f"update {quote_identifier(table)} set {quote_identifier(column)} = ? "
                        f"where {quote_identifier(column)} = ?",
                        (person.pseudonym, person.id),
                    ).rowcount
            if file == FILE and _has_table(connection, "cases"):
                counts[f"{file} cases"] += erase_person(connection, persons.kind, person.id, person.pseudonym, now)
    return counts


def empty_features(online: Path) -> None:
    """Empty the stream's features, which the next start of the stream builds again from the change log.

    What was acknowledged to PostgreSQL stays known, so that a slot that has moved on is still noticed.
    """
    path = online / FEATURES
    if not path.exists():
        return
    with _rewritten(path) as connection:
        for table in ("rows", "states"):
            connection.execute(f"delete from {table}")
        connection.execute("delete from facts where name not in (?, ?)", (EPOCH, FLUSHED))


@contextmanager
def _rewritten(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection, commit at the end, and rewrite the file so that no freed page or log keeps what was there."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("pragma secure_delete = on")
        yield connection
        connection.commit()
        connection.execute("vacuum")
        connection.execute("pragma wal_checkpoint(truncate)").fetchall()


def _has_table(connection: sqlite3.Connection, table: str) -> bool:
    return connection.execute("select 1 from sqlite_schema where name = ?", (table,)).fetchone() is not None
