"""Copy the state store from SQLite files into PostgreSQL, and back into files for a backup."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from quintet.state.dialect import sqlite_statements
from quintet.state.faults import StateError, UnstorableValueError
from quintet.state.migrations import NOTE, TABLE, VERSIONS, Migrations, read_applied
from quintet.state.postgres import PostgresConnection, PostgresDatabase
from quintet.state.sqlite import SqliteDatabase
from quintet.warehouse.sql import quote_identifier

ADOPTED = ".adopted"
"""The ending of an SQLite file whose rows are in PostgreSQL now."""

_ROWS_AT_ONCE = 5_000


def adopt(
    file: SqliteDatabase, database: PostgresDatabase, connection: PostgresConnection, tables: Collection[str]
) -> int:
    """Copy the rows of an SQLite file into new, empty tables of PostgreSQL in its transaction; return how many.

    tables: the new ones; those that the file lacks stay as they are.
    """
    count = 0
    for table in sorted(set(tables) & set(file.tables()) - {TABLE}):
        present = set(file.columns(table))
        columns = [name for name in database.columns(table) if name in present]
        if connection.execute(f"select 1 from {quote_identifier(table)} limit 1").fetchone():
            connection.execute(f"delete from {quote_identifier(table)}")  # what the migrations put there
        rows = file.stream(f"select {_names(columns)} from {quote_identifier(table)}")
        try:
            count += _insert(connection, table, columns, rows)
        except UnstorableValueError as error:
            raise StateError(
                f"{file.place}: rows of {table} cannot be copied into the state store {database.place}: "
                f"{error}. Nothing was copied; correct the rows in the file, and start again."
            ) from error
        _go_on_numbering(connection, table)
    return count


def mark_adopted(path: Path) -> None:
    """Rename an SQLite file whose rows are in PostgreSQL, so that nobody takes it for the current state."""
    path.rename(path.with_name(f"{path.name}{ADOPTED}"))
    for ending in ("-wal", "-shm"):
        path.with_name(f"{path.name}{ending}").unlink(missing_ok=True)


def dump(database: PostgresDatabase, path: Path, migrations: Migrations) -> dict[str, int]:
    """Write the tables of some owners as they are at one moment into a new SQLite file; return the applied scripts.

    migrations: the scripts of the owners, as far as this release knows them. Without any of their tables there is no
    file.
    """
    if not database.has_table(TABLE) or not migrations.keys() & read_applied(database.read()).keys():
        return {}
    with closing(SqliteDatabase(path, "off")) as file, database.reading() as source, file.write() as target:
        applied = {owner: found for owner, found in read_applied(source).items() if owner in migrations}
        for statement in sqlite_statements(VERSIONS):
            target.execute(statement)
        for owner, found in applied.items():
            for script in migrations[owner][: found.scripts]:
                for statement in sqlite_statements(script):
                    target.execute(statement)
            target.execute(NOTE, (owner, found.scripts, found.needs))
        for table in set(file.tables()) - {TABLE}:
            target.execute(f"delete from {quote_identifier(table)}")
            columns = file.columns(table)
            _insert(target, table, columns, source.stream(f"select {_names(columns)} from {quote_identifier(table)}"))
    return {owner: found.scripts for owner, found in applied.items()}


def _insert(connection: Any, table: str, columns: Collection[str], rows: Iterable[Any]) -> int:
    statement = f"insert into {quote_identifier(table)} ({_names(columns)}) values ({', '.join('?' * len(columns))})"
    count = 0
    for some in _batches(rows):
        connection.executemany(statement, some)
        count += len(some)
    return count


def _batches(rows: Iterable[Any]) -> Iterator[list[tuple[Any, ...]]]:
    iterator = iter(rows)
    while some := [tuple(row) for _, row in zip(range(_ROWS_AT_ONCE), iterator, strict=False)]:
        yield some


def _go_on_numbering(connection: PostgresConnection, table: str) -> None:
    """Let the numbers of new rows follow those of the copied ones."""
    numbered = connection.execute(
        "select column_name from information_schema.columns where table_schema = current_schema() "
        "and table_name = ? and is_identity = 'YES'",
        (table,),
    ).fetchall()
    for (column,) in numbered:
        connection.execute(
            f"select setval(pg_get_serial_sequence(?, ?), max({quote_identifier(column)})) "
            f"from {quote_identifier(table)} having count(*) > 0",
            (table, column),
        )


def _names(columns: Iterable[str]) -> str:
    return ", ".join(map(quote_identifier, columns))
