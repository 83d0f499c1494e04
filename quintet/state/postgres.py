"""The state store in PostgreSQL: SQLAlchemy's engine and pool, and the driver's own cursors for the statements.

Every transaction that writes holds one advisory lock, as SQLite has one writer at a time: what a transaction has read
stays true until it commits, and rows are committed in the order of their numbers.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from typing import Any, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import create_engine
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from quintet.masking import masked
from quintet.state.dialect import postgres_statement
from quintet.state.faults import StateAwayError, StateUnavailableError, UnstorableValueError
from quintet.state.reachability import Reachability
from quintet.warehouse.sql import quote_identifier

SCHEMA = "quintet"
"""The schema of the tables; another one can be set in the URL: `?options=-csearch_path%3Dname`."""

_POOL_SIZE, _MOST_CONNECTIONS = 5, 15
_WAIT_SECONDS = 4
_LOCK_WAIT = "10s"
_LONGEST_IDLE_IN_TRANSACTION = "30s"
"""A service that stopped in the middle of a transaction keeps the others from writing no longer than this."""

_DEFAULTS = {
    "connect_timeout": "2",
    "tcp_user_timeout": "2000",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "application_name": "quintet",
}
_ROWS_AT_ONCE = 10_000
_MIGRATIONS_LOCK = zlib.crc32(b"quintet state migrations")


_REFUSED = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)
"""A server that became a standby, or an account without the rights."""


class Row(tuple[Any, ...]):
    """A row with its values by position and by name, as those of SQLite."""

    names: Mapping[str, int] = {}

    def __getitem__(self, key: Any) -> Any:
        """Return a value by position or name."""
        return super().__getitem__(self.names[key] if isinstance(key, str) else key)

    def keys(self) -> list[str]:
        """Return the names of the columns."""
        return list(self.names)


@lru_cache(maxsize=256)
def _row_class(names: tuple[str, ...]) -> type[Row]:
    return type("Row", (Row,), {"names": {name: position for position, name in enumerate(names)}})


def _rows(cursor: psycopg.Cursor[Any]) -> Any:
    description = cursor.description
    return _row_class(tuple(column.name for column in description)) if description else tuple


class Result:
    """The rows of a statement, which are all fetched, and the number of rows that it changed.

    description: the names of the columns, each the first of a tuple. connection: of the transaction.
    """

    def __init__(
        self, connection: psycopg.Connection[Any], description: Sequence[tuple[str]], rows: Sequence[Row], rowcount: int
    ) -> None:
        self.description, self.rowcount = description, rowcount
        self._connection = connection
        self._rows = iter(rows)

    @property
    def lastrowid(self) -> int:
        """Return the number that the row inserted last in this transaction was given."""
        return int(self._connection.execute("select lastval()").fetchall()[0][0])

    def fetchone(self) -> Row | None:
        """Return the next row; None after the last one."""
        return next(self._rows, None)

    def fetchall(self) -> list[Row]:
        """Return the rows that are left."""
        return list(self._rows)

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows that are left."""
        return self._rows


class PostgresConnection:
    """A connection as those of `sqlite3`: outside a transaction each statement is one of its own.

    held: the connection of a transaction. Without it, each statement takes one from the pool; a statement that only
    reads is tried again if its connection was lost.
    """

    def __init__(self, database: PostgresDatabase, held: psycopg.Connection[Any] | None = None) -> None:
        self._database, self._held = database, held

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Result:
        """Execute a statement with `?` as placeholders."""
        text, given = postgres_statement(statement), _values(values)
        if self._held is not None:
            with self._database.explained():
                return _execute(self._held, text, given)
        for is_last in (False, True):
            try:
                with self._database.borrowed() as connection:
                    return _execute(connection, text, given)
            except _LostConnectionError:
                if is_last or not statement.lstrip()[:6].lower() == "select":
                    raise
        raise AssertionError("the last attempt returns or raises")

    def stream(self, statement: str, values: Sequence[Any] = ()) -> Iterator[Row]:
        """Yield the rows of a statement within a transaction, of which only some are in memory."""
        assert self._held is not None, "only a transaction keeps the place in the rows"
        with self._database.explained(), self._held.cursor("stream", row_factory=_rows) as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            yield from cursor.execute(postgres_statement(statement).encode(), _values(values))

    def executemany(self, statement: str, values: Iterable[Sequence[Any]]) -> None:
        """Execute a statement for each sequence of values, in a transaction."""
        given = [_values(one) for one in values]
        if not given or self._held is None:
            assert not given, "many statements belong into a transaction"
            return
        with self._database.explained(), self._held.cursor() as cursor:
            cursor.executemany(postgres_statement(statement).encode(), given)


class _LostConnectionError(StateUnavailableError):
    """The connection is gone, and perhaps another one can be opened."""


class PostgresDatabase:
    """A database with the tables of the state store. Nothing is opened before it is used.

    url: with its password. name: of the advisory lock that writers hold.
    """

    def __init__(self, url: str, name: str) -> None:
        self._url, self.name = url, name
        self._lock_number = zlib.crc32(f"quintet state {name}".encode())
        self._local = threading.local()
        self._reachability = Reachability(self._connect)
        self._engine = create_engine(
            "postgresql+psycopg://",
            creator=self._reachability.open,
            pool_size=_POOL_SIZE,
            max_overflow=_MOST_CONNECTIONS - _POOL_SIZE,
            pool_timeout=_WAIT_SECONDS,
            pool_reset_on_return=None,  # a connection returns outside a transaction
            pool_use_lifo=True,
        )

    @property
    def place(self) -> str:
        """Return the address for messages, without user and password."""
        return masked(self._url, [])

    def read(self) -> PostgresConnection:
        """Return a connection for statements that only read; within `write` it is that of the transaction."""
        return PostgresConnection(self, getattr(self._local, "held", None))

    @contextmanager
    def write(self) -> Iterator[PostgresConnection]:
        """Open a transaction that holds the lock of writers from its start and rolls back if the body raises."""
        with self._transaction(f"begin; select pg_advisory_xact_lock({self._lock_number})") as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[PostgresConnection]:
        """Open a transaction that reads one moment."""
        with self._transaction("begin isolation level repeatable read read only") as connection:
            yield connection

    def stream(self, statement: str, values: Sequence[Any] = ()) -> Iterator[Row]:
        """Yield the rows of a statement, of which only some are in memory."""
        with self.borrowed() as connection:
            connection.execute("begin read only")
            try:
                yield from PostgresConnection(self, connection).stream(statement, values)
            finally:
                with suppress(psycopg.Error):
                    connection.execute("rollback")

    def prepare(self, connection: PostgresConnection) -> None:
        """Create the schema if it is missing; until the end of the transaction no other store changes tables."""
        connection.execute("select pg_advisory_xact_lock(?)", (_MIGRATIONS_LOCK,))
        schema, path = connection.execute("select current_schema(), current_setting('search_path')").fetchall()[0]
        if schema is None:
            connection.execute(f"create schema if not exists {path.split(',')[0]}")

    def has_table(self, name: str) -> bool:
        """Return whether there is a table of this name."""
        return bool(self.columns(name))

    def columns(self, table: str) -> list[str]:
        """Return the columns of a table in their order; none without the table."""
        found = self.read().execute(
            "select column_name from information_schema.columns where table_schema = current_schema() "
            "and table_name = ? order by ordinal_position",
            (table,),
        )
        return [row[0] for row in found]

    def tables(self) -> list[str]:
        """Return the names of all tables."""
        found = self.read().execute(
            "select table_name from information_schema.tables where table_schema = current_schema() order by 1"
        )
        return [row[0] for row in found]

    def rewrite(self, tables: Collection[str]) -> None:
        """Rewrite tables so that their files keep nothing of what was deleted."""
        with self.borrowed() as connection:
            for table in tables:
                connection.execute(f"vacuum (full) {quote_identifier(table)}".encode())

    def close(self) -> None:
        """Close all connections."""
        self._reachability.close()
        self._engine.dispose()

    @contextmanager
    def borrowed(self) -> Iterator[psycopg.Connection[Any]]:
        """Yield a connection of the pool; one that broke does not return to it."""
        with self.explained():
            pooled = self._engine.raw_connection()
            connection: Any = pooled.driver_connection
            try:
                with self._reachability.limited(connection):
                    yield connection
            except (psycopg.Error, StateUnavailableError) as error:
                if not connection.closed:
                    raise
                raise _LostConnectionError(self._masked(error)) from error
            finally:
                if connection.closed:  # by the server, which has then closed the others as well
                    pooled.invalidate()
                    self._engine.dispose()
                pooled.close()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raise StateUnavailableError where the server cannot serve; faults of a statement stay as they are."""
        try:
            yield
        except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeoutError, *_REFUSED) as error:
            raise StateUnavailableError(self._masked(error)) from error
        except psycopg.DataError as error:
            raise UnstorableValueError(str(error).splitlines()[0]) from error

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[PostgresConnection]:
        assert getattr(self._local, "held", None) is None, "one transaction at a time for each thread"
        with self._begun(begin) as connection:
            try:
                self._local.held = connection
                yield PostgresConnection(self, connection)
                self._local.held = None
                connection.execute("commit")
            except BaseException:
                self._local.held = None
                with suppress(psycopg.Error):  # without its connection, PostgreSQL rolls back by itself
                    connection.execute("rollback")
                raise

    @contextmanager
    def _begun(self, begin: str) -> Iterator[psycopg.Connection[Any]]:
        """Yield a connection in a transaction; one that was lost while nobody used it is replaced."""
        with ExitStack() as held:
            try:
                connection = held.enter_context(self._beginning(begin))
            except _LostConnectionError:
                connection = held.enter_context(self._beginning(begin))
            yield connection

    @contextmanager
    def _beginning(self, begin: str) -> Iterator[psycopg.Connection[Any]]:
        with self.borrowed() as connection:
            try:
                connection.execute(begin.encode())
            except psycopg.Error:
                with suppress(psycopg.Error):  # the lock was not granted in time
                    connection.execute("rollback")
                raise
            yield connection

    def _connect(self) -> psycopg.Connection[Any]:
        given = conninfo_to_dict(self._url)
        connection = psycopg.connect(**{**_DEFAULTS, **given}, autocommit=True)  # type: ignore[arg-type]
        connection.execute(
            "select set_config('search_path', %s, false) "
            "where current_setting('search_path') in ('\"$user\", public', '\"$user\",public')",
            (SCHEMA,),
        )
        connection.execute(
            "select set_config('lock_timeout', %s, false), "
            "set_config('idle_in_transaction_session_timeout', %s, false)",
            (_LOCK_WAIT, _LONGEST_IDLE_IN_TRANSACTION),
        )
        return connection

    def _masked(self, error: Exception) -> str:
        if isinstance(error, StateUnavailableError):
            return str(error)
        reason = masked(" ".join(str(error).split()), [self._url])
        return f"the state store {self.place} cannot be reached: {reason}"

    def __enter__(self) -> Self:
        """Return the database."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        self.close()


def unreachable(error: StateUnavailableError) -> StateAwayError:
    """Return what to say when the database does not answer at the start."""
    reason = str(error).rstrip(".?")
    return StateAwayError(
        f"{reason}. Start the database, or correct QUINTET_STATE_URL; without it the state is in SQLite files of the "
        "home."
    )


def _execute(connection: psycopg.Connection[Any], text: str, values: Sequence[Any]) -> Result:
    with connection.cursor(row_factory=_rows) as cursor:
        cursor.execute(text.encode(), values)
        if cursor.description is None:
            return Result(connection, (), (), cursor.rowcount)
        return Result(connection, [(column.name,) for column in cursor.description], cursor.fetchall(), cursor.rowcount)


def _values(values: Sequence[Any]) -> list[Any]:
    """Return the values as SQLite stores them: true as 1."""
    return [int(value) if value is True or value is False else value for value in values]
