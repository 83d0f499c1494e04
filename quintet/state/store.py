"""The state store that the service and the stream write: SQLite files in the home, or a PostgreSQL database.

Statements are written once, with `?` for their values, for both; `quintet.state.dialect` says what to avoid.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from types import MappingProxyType
from typing import Any

from quintet.state.dialect import AnyScript, as_script, postgres_statements, sqlite_statements
from quintet.state.faults import StateError, StateUnavailableError
from quintet.state.migrations import (
    CORE,
    CORE_MIGRATIONS,
    NEEDS,
    NOTE,
    TABLE,
    VERSIONS,
    Migrations,
    missing,
    needs_of,
    read_applied,
)
from quintet.state.sqlite import SqliteDatabase, explained
from quintet.state_place import Place, place_of

FILE = "online.sqlite"

Connection = Any
"""A connection of `sqlite3`, or one of `quintet.state.postgres` that works in the same way."""


class StateStore:
    """The state store at `place`, created on first use; a folder stands for the SQLite files in it.

    file: the SQLite file. In PostgreSQL the tables of all files are in one schema.
    migrations: by owner, the scripts that create and change its tables, each applied once and in order. The default
    `file` also gets the scripts of `CORE`. The tables of an owner that is missing here stay as they are.
    synchronous: `normal` if the writer can rewrite what a power cut loses.
    """

    def __init__(
        self,
        place: Place,
        file: str = FILE,
        migrations: Migrations = MappingProxyType({}),
        synchronous: str = "full",
    ) -> None:
        where = place_of(place)
        self.path = where.folder / file
        self.is_file = where.url is None
        """Whether the store is an SQLite file."""
        self._migrations = {CORE: CORE_MIGRATIONS, **migrations} if file == FILE else dict(migrations)
        if where.url is None:
            self.database: Any = SqliteDatabase(self.path, synchronous)
            self._open_file()
        else:
            self._open_postgres(where.url)
        self.read = self.database.read
        """Return a connection for statements that only read; a writer never blocks it."""

    def write(self) -> AbstractContextManager[Connection]:
        """Open a transaction that holds the write lock from its start and rolls back if the body raises."""
        found: AbstractContextManager[Connection] = self.database.write()
        return found

    def reading(self) -> AbstractContextManager[Connection]:
        """Open a transaction that reads one moment."""
        found: AbstractContextManager[Connection] = self.database.reading()
        return found

    def stream(self, statement: str, values: Sequence[object] = ()) -> Iterator[Any]:
        """Yield the rows of a statement, of which only some are in memory."""
        yield from self.database.stream(statement, values)

    def has_table(self, name: str) -> bool:
        """Return whether there is a table of this name."""
        return bool(self.database.has_table(name))

    def columns(self, table: str) -> list[str]:
        """Return the columns of a table in their order; none without the table."""
        found: list[str] = self.database.columns(table)
        return found

    def rewrite(self, tables: Collection[str]) -> None:
        """Rewrite tables so that nothing of what was deleted from them is left in files of the database."""
        self.database.rewrite(tables)

    def release(self) -> None:
        """Close this thread's connection, before the thread ends; the next use opens a new one."""
        if self.is_file:
            self.database.release()

    def close(self) -> None:
        """Close all connections; the store cannot be used afterwards."""
        self.database.close()

    def _open_file(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._migrate()
        except (sqlite3.DatabaseError, OSError) as error:
            self.close()
            fault = explained(self.path, error)
            if fault is None:
                raise
            raise fault from error
        except StateError:
            self.close()
            raise

    def _open_postgres(self, url: str) -> None:
        from quintet.state import postgres  # noqa: PLC0415  # the driver is slow to load

        self.database = postgres.PostgresDatabase(url, self.path.name)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)  # for locks and keys of this machine
            self._migrate()
        except StateUnavailableError as error:
            self.close()
            raise postgres.unreachable(error) from error
        except OSError as error:
            self.close()
            raise explained(self.path.parent, error) or error from error
        except BaseException:
            self.close()
            raise

    def _migrate(self) -> None:
        if not self._missing():
            return  # without the write lock, which another process may hold for long
        with self.database.write() as connection:
            if not self.is_file:
                self.database.prepare(connection)
            before = set(self.database.tables())
            for statement in self._statements(VERSIONS):
                connection.execute(statement)
            if "needs" not in self.columns(TABLE):
                connection.execute(NEEDS)
            for owner, scripts in self._missing().items():
                for statement in (one for script in scripts for one in self._statements(script)):
                    connection.execute(statement)
                known = self._migrations[owner]
                connection.execute(NOTE, (owner, len(known), needs_of(known)))
            is_adopted = not self.is_file and self._adopt(connection, set(self.database.tables()) - before)
        if is_adopted:
            from quintet.state.transfer import mark_adopted  # noqa: PLC0415

            mark_adopted(self.path)

    def _adopt(self, connection: Connection, new_tables: set[str]) -> bool:
        """Copy the rows of the home's SQLite file into the tables that are new in PostgreSQL; return whether it is
        copied completely.
        """
        if not self.path.exists():
            return False
        from quintet.state.transfer import adopt  # noqa: PLC0415  # once in the life of a home

        with closing(StateStore(self.path.parent, self.path.name, self._migrations)) as former:
            adopt(former.database, self.database, connection, new_tables)
            return not set(former.database.tables()) - set(self.database.tables())

    def _statements(self, script: AnyScript) -> Iterator[str]:
        return sqlite_statements(script) if self.is_file else postgres_statements(as_script(script))

    def _missing(self) -> dict[str, Sequence[AnyScript]]:
        """Return the scripts still to apply, by owner."""
        applied = read_applied(self.database.read()) if self.has_table(TABLE) else {}
        return missing(self._migrations, applied, self.database.place)
