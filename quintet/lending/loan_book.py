"""Check the tables of a dump and load them into PostgreSQL.

Only rows reach the replicated database: a dump is restored in a sandbox (`sandbox.py`), its three tables are checked
column by column, and their rows are copied into tables created here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from quintet.lending.contract import LOAN, PAYMENT, TABLES, USER
from quintet.lending.dump import DumpError
from quintet.lending.sandbox import Limits, first_line, restored
from quintet.replicated import Kind, LoadedDump

_MARK = re.compile(r"Quintet loan book (?P<sha256>[0-9a-f]{64}), last day (?P<day>\d{4}-\d\d-\d\d)")
_READ: dict[str, dict[str, Kind]] = {**TABLES, LOAN: {**TABLES[LOAN], "duration": "integer"}}
"""The columns that features and model read, with their kinds, by table."""

_ALSO_KNOWN = {
    USER: ("first_name", "last_name", "personal_code"),
    LOAN: ("matured_on",),
    PAYMENT: ("amount",),
}
"""Other columns of the lender's tables; if one is missing, that is only a remark."""

_KINDS: dict[str, dict[str, str]] = {
    "integer": {"smallint": "smallint", "integer": "integer", "bigint": "bigint", "numeric": "bigint"},
    "double": dict.fromkeys(("real", "double precision", "numeric", "integer", "bigint"), "double precision"),
    "varchar": {"text": "text", "character varying": "text", "character": "text", "USER-DEFINED": "text"},
    "date": {
        "date": "date",
        "timestamp without time zone": "date",
        "timestamp with time zone": "date",
    },
}
"""By kind of a contract column: the types that are accepted, and the type that each is loaded as."""

_REPORT_BYTES = 64 << 20
_LOCK_SECONDS = 10  # for a table that others have locked; the next run tries again
_SESSION = (
    f"-c lock_timeout={_LOCK_SECONDS}s -c statement_timeout=0 -c idle_in_transaction_session_timeout=0 "
    "-c idle_session_timeout=0"
)
"""Options of the session that loads, in place of the role's."""


@dataclass(frozen=True)
class LoadedBook:
    """The result of loading a dump. rows: by table. remarks: warnings for a person."""

    rows: dict[str, int]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class _Column:
    """A column to load: its name, the SQL that reads it, and its type in the new table."""

    name: str
    reads: sql.Composable
    type: str


class NotOurTablesError(DumpError):
    """The database has a loan book that must not be replaced; the message says what to do."""


def restored_dump(connection: psycopg.Connection) -> LoadedDump | None:
    """Return the dump that the tables of lending were loaded from; None if there is none."""
    row = connection.execute("select obj_description(to_regclass('public.loan'), 'pg_class')").fetchone()
    found = _MARK.fullmatch(row[0]) if row and row[0] else None
    return LoadedDump(found["sha256"], date.fromisoformat(found["day"])) if found else None


def book_rows(connection: psycopg.Connection) -> int:
    """Return the number of rows in the three tables, which must exist."""
    counts = (
        connection.execute(sql.SQL("select count(*) from public.{}").format(sql.Identifier(table))).fetchone()
        for table in TABLES
    )
    return sum(int(count[0]) for count in counts if count)


def has_book(connection: psycopg.Connection) -> bool:
    """Return whether any of the three tables exists."""
    names = [f'public."{table}"' for table in TABLES]
    row = connection.execute(
        "select bool_or(to_regclass(name) is not null) from unnest(%s::text[]) as name", (names,)
    ).fetchone()
    return bool(row and row[0])


def load_dump(
    dump: Path,
    sha256: str,
    url: str,
    scratch: Path,
    limits: Limits,
    report: Callable[[str], None],
    publication: str,
    may_have_others: bool,
) -> LoadedBook:
    """Replace the tables of lending in the database of `url` with a dump's tables, in one transaction.

    scratch: a folder for the server on which the dump is restored first. publication: the new tables are added to it if
    it exists. may_have_others: whether the database may hold other tables; a user's own must not. Raises DumpError
    if the dump cannot be used; the database is then unchanged.
    """
    with psycopg.connect(url, autocommit=True, options=_SESSION) as target:
        _refuse_to_replace(target, may_have_others)
        with restored(dump, scratch, limits, report) as sandbox:
            # The role's own settings must not change how its tables are read.
            options = "-c search_path=pg_catalog -c timezone=UTC -c row_security=off"
            with psycopg.connect(make_conninfo(sandbox.url, options=options)) as source:
                source.read_only = True
                with _dump_errors():
                    columns = {table: _columns(source, table) for table in TABLES}
                    remarks = [*_missing(columns), *_other_schemas(source), *_refusals(sandbox.refused)]
                with target.transaction():
                    rows = {
                        table: _copy_table(source, target, table, found, report) for table, found in columns.items()
                    }
                    _swap_tables(target, sha256, publication)
    return LoadedBook(rows, tuple(remarks))


def _refuse_to_replace(target: psycopg.Connection, may_have_others: bool) -> None:
    if restored_dump(target) is None and has_book(target):
        raise NotOurTablesError(
            "the database has tables of lending that are not from a dump of the inbox, so this one was not loaded. To "
            'replace them, drop the tables "user", loan and payment, and run again.'
        )

    others = target.execute(_USER_TABLES + " and c.relname <> all (%s) limit 1", (list(TABLES),)).fetchone()
    if others is not None and not may_have_others:
        raise NotOurTablesError(
            f"the database of QUINTET_POSTGRES_URL holds other tables ({others[0]}), so this dump was not loaded into "
            "it. Name an empty database, or none to use the embedded one."
        )


def _columns(source: psycopg.Connection, table: str) -> list[_Column]:
    """Return the columns to load of a table. Raises DumpError if it or a column is missing or cannot be used."""
    found = source.execute(
        "select a.attname, case when n.nspname = 'pg_catalog' then format_type(t.oid, null) else 'USER-DEFINED' end, "
        "format_type(t.oid, a.atttypmod), c.relkind::text from pg_class c "
        "join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
        "join pg_type t on t.oid = a.atttypid join pg_namespace n on n.oid = t.typnamespace "
        "where c.relnamespace = 'public'::regnamespace and c.relname = %s order by a.attnum",
        (table,),
    ).fetchall()
    if not found:
        raise DumpError(
            f"it has no table {table} in schema public; it holds {_tables(source)}. Dump the lender's database."
        )
    if found[0][3] not in ("r", "p"):
        raise DumpError(f"{table} is not a table but a view. Dump the table itself.")
    types = {name: (kind, written) for name, kind, written, _ in found}
    if missing := [name for name in _READ[table] if name not in types]:
        raise DumpError(
            f"table {table} lacks the column {', '.join(missing)}; it has {', '.join(types)}. Rename or add it, and "
            "dump again."
        )
    columns = []
    for name, (kind, written) in types.items():
        wanted = _READ[table].get(name)
        if wanted is None:
            loaded = written if kind != "USER-DEFINED" else "text"
        elif (as_type := _KINDS[wanted].get(kind)) is None:
            raise DumpError(
                f"column {name} of table {table} is {written}; {_article(wanted)} is needed. Change its type, and dump "
                "again."
            )
        else:
            loaded = as_type
            _check_exact(source, table, name, kind, loaded)
            if loaded == "date":
                _check_calendar(source, table, name)
        columns.append(_Column(name, sql.SQL("{}::{}").format(sql.Identifier(name), sql.SQL(loaded)), loaded))
    return columns


def _check_exact(source: psycopg.Connection, table: str, name: str, kind: str, loaded: str) -> None:
    """Raise DumpError if loading a column as another type would change a value."""
    if not (loaded == "date" and kind != "date") and not (loaded == "bigint" and kind == "numeric"):
        return
    row = source.execute(
        sql.SQL("select {name}::text from public.{table} where {name} <> {name}::{loaded} limit 1").format(
            name=sql.Identifier(name), table=sql.Identifier(table), loaded=sql.SQL(loaded)
        )
    ).fetchone()
    if row is not None:
        needed = "day" if loaded == "date" else "whole number"
        raise DumpError(
            f"column {name} of table {table} holds {row[0]}, which is no {needed}. "
            f"Change its type to {loaded}, and dump again."
        )


def _check_calendar(source: psycopg.Connection, table: str, name: str) -> None:
    """Raise DumpError for a date outside the years that Python knows."""
    row = source.execute(
        sql.SQL(
            "select {name}::date::text from public.{table} where isfinite({name}) "
            "and ({name} < '0001-01-01' or {name} > '9999-12-31') limit 1"
        ).format(name=sql.Identifier(name), table=sql.Identifier(table))
    ).fetchone()
    if row is not None:
        raise DumpError(
            f"column {name} of table {table} holds {row[0]}, which lies outside the years 1 to 9999. "
            "Correct it, and dump again."
        )


def _article(kind: str) -> str:
    return {"integer": "a whole number", "double": "a number", "varchar": "a text", "date": "a date"}[kind]


def _tables(source: psycopg.Connection) -> str:
    names = [row[0] for row in source.execute(_USER_TABLES + " order by 1 limit 11").fetchall()]
    return f"{', '.join(names[:10])}{' and more' if len(names) > 10 else ''}" if names else "no tables"


_USER_TABLES = """
    select case n.nspname when 'public' then c.relname else n.nspname || '.' || c.relname end
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
"""


def _other_schemas(source: psycopg.Connection) -> list[str]:
    rows = source.execute(
        "select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') "
        "and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'public') group by 1 order by 1"
    ).fetchall()
    names = ", ".join(row[0] for row in rows)
    return [f"the tables of schema {names} were not loaded; lending reads schema public"] if rows else []


def _missing(columns: Mapping[str, Sequence[_Column]]) -> list[str]:
    return [
        f"table {table} lacks {', '.join(missing)}, which lending can do without"
        for table, known in _ALSO_KNOWN.items()
        if (missing := sorted(set(known) - {column.name for column in columns[table]}))
    ]


def _refusals(refused: Sequence[str]) -> list[str]:
    if not refused:
        return []
    return [f"{len(refused)} statements were refused and not needed, such as: {refused[0]}"]


def _copy_table(
    source: psycopg.Connection,
    target: psycopg.Connection,
    table: str,
    columns: Sequence[_Column],
    report: Callable[[str], None],
) -> int:
    """Copy a table's rows into a new table beside the one in use; return their number."""
    fresh = sql.Identifier("public", _fresh(table))
    target.execute(sql.SQL("drop table if exists {}").format(fresh))
    definitions = [sql.SQL("{} {}").format(sql.Identifier(one.name), sql.SQL(one.type)) for one in columns]
    target.execute(sql.SQL("create table {} ({})").format(fresh, sql.SQL(", ").join(definitions)))
    reads = sql.SQL("copy (select {} from public.{}) to stdout (format binary)").format(
        sql.SQL(", ").join(one.reads for one in columns), sql.Identifier(table)
    )
    names = sql.SQL(", ").join(sql.Identifier(one.name) for one in columns)
    writes = sql.SQL("copy {} ({}) from stdin (format binary)").format(fresh, names)
    done, next_report = 0, _REPORT_BYTES
    try:
        with source.cursor() as reader, target.cursor() as writer:
            with writer.copy(writes) as copy:
                for block in _blocks(reader, reads):
                    copy.write(block)
                    done += len(block)
                    if done >= next_report:
                        report(f"{table}: {done / 1e6:,.0f} MB of rows loaded")
                        next_report += _REPORT_BYTES
            target.execute(sql.SQL("alter table {} add primary key (id)").format(fresh))
            return writer.rowcount
    except (psycopg.errors.UniqueViolation, psycopg.errors.NotNullViolation) as error:
        detail = error.diag.message_detail or first_line(error)
        raise DumpError(
            f"the ids of table {table} are not unique or not there: {detail} Correct them, and dump again."
        ) from None
    except psycopg.errors.DataError as error:
        raise DumpError(f"table {table}: {first_line(error)}. Correct the value, and dump again.") from None


def _blocks(reader: psycopg.Cursor, reads: sql.Composed) -> Iterator[bytes | bytearray | memoryview]:
    with _dump_errors(), reader.copy(reads) as rows:
        yield from rows


@contextmanager
def _dump_errors() -> Iterator[None]:
    """Report errors of reading the dump's tables as DumpError."""
    try:
        yield
    except psycopg.errors.OperationalError:
        raise  # `sandbox.restored` reports which limit was reached
    except psycopg.Error as error:
        raise DumpError(f"its tables cannot be read: {first_line(error)}. Restore it by hand to see more.") from None


def _swap_tables(target: psycopg.Connection, sha256: str, publication: str) -> None:
    """Replace the old tables with the new ones, and record the dump that they are from."""
    last_day = target.execute(
        sql.SQL("select coalesce(max(day), current_date) from (select unnest(array[created_on, updated_on]) as day "
                "from public.{}) as days where isfinite(day) and day <= current_date").format(
            sql.Identifier(_fresh(LOAN))
        )
    ).fetchone()  # fmt: skip
    assert last_day is not None
    for table in TABLES:
        names = {"table": sql.Identifier(table), "fresh": sql.Identifier(_fresh(table))}
        target.execute(sql.SQL("drop table if exists public.{table}").format(**names))
        target.execute(sql.SQL("alter table public.{fresh} rename to {table}").format(**names))
        target.execute(
            sql.SQL("alter index public.{} rename to {}").format(
                sql.Identifier(f"{_fresh(table)}_pkey"), sql.Identifier(f"{table}_pkey")
            )
        )
    mark = f"Quintet loan book {sha256}, last day {last_day[0].isoformat()}"
    target.execute(sql.SQL("comment on table public.loan is {}").format(sql.Literal(mark)))
    known = target.execute("select from pg_publication where pubname = %s and not puballtables", (publication,))
    if known.fetchone() is not None:
        target.execute(
            sql.SQL("alter publication {} add table {}").format(
                sql.Identifier(publication), sql.SQL(", ").join(sql.Identifier("public", table) for table in TABLES)
            )
        )


def _fresh(table: str) -> str:
    return f"quintet_new_{table}"
