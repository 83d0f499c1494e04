"""The store of features: states by client, the rows behind them, and the applied position of the log."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import orjson

from quintet.state.faults import STATE_FAULTS
from quintet.state.retention import Retention
from quintet.state.store import Connection, StateStore
from quintet.state_place import Place

FILE, OWNER = "features.sqlite", "features"

_SCHEMA = """
create table if not exists facts (name text primary key, value text not null) strict;
create table if not exists rows (
    table_name text not null,
    key text not null,
    parent text,
    row text not null,
    primary key (table_name, key)
) strict, without rowid;
create index if not exists rows_by_parent on rows (table_name, parent);
create table if not exists states (owner text primary key, states text not null) strict, without rowid;
"""
MIGRATIONS = (_SCHEMA,)
RETENTION = (
    Retention("facts", "One row for each name."),
    Retention("rows", "Those of the application's database; deleted there, they go here."),
    Retention("states", "One row for each client of the application's database."),
)
"""How long the rows of these tables stay."""

_WRITER_CACHE_KIB = 131_072
_CHECKPOINT_FRAMES = 8_192  # 32 MB of log; beyond it a checkpoint makes the writer wait


_GLANCE = """
    select
        (select value from facts where name = ?),
        (select value from facts where name = ?),
        (select value from facts where name = ?),
        exists (select 1 from rows where table_name = ? and key = ?),
        exists (select 1 from rows where table_name = ? and key = ?),
        (select states from states where owner = ?),
        (select {children} from rows where table_name = ? and parent in (?, ?))
"""
_GLANCE_OF_FILE = _GLANCE.format(children="json_group_array(json(row))")
_GLANCE_OF_POSTGRES = _GLANCE.format(children="coalesce(json_agg(row::json)::text, '[]')")

_WRITTEN = "written"
"""The fact that counts the writes to PostgreSQL; SQLite has a number of its own."""
_COUNT_WRITE = (
    "insert into facts (name, value) values (?, '1') on conflict (name) do update set "
    "value = cast(cast(facts.value as bigint) + 1 as text)"
)

_PUT_ROW = (
    "insert into rows values (?, ?, ?, ?) on conflict (table_name, key) do update set "
    "parent = excluded.parent, row = excluded.row"
)
_PUT_STATES = "insert into states values (?, ?) on conflict (owner) do update set states = excluded.states"
_PUT_FACT = "insert into facts values (?, ?) on conflict (name) do update set value = excluded.value"

RowKey = tuple[str, str]
"""The table of a row, and its key."""


class Glance(NamedTuple):
    """Facts, rows and states at one moment, in the order of the request; None where there is none.

    states: JSON. children: the rows of a table that belong to one of two parents, a JSON array.
    """

    facts: tuple[str | None, str | None, str | None]
    has_rows: tuple[bool, bool]
    states: str | None
    children: str


class FeatureStore:
    """The features at `place`, created on first use; a folder stands for the SQLite file in it."""

    def __init__(self, place: Place) -> None:
        self._store = StateStore(place, FILE, {OWNER: MIGRATIONS}, synchronous="normal")
        self._glance = _GLANCE_OF_FILE if self._store.is_file else _GLANCE_OF_POSTGRES

    @property
    def path(self) -> Path:
        """Return the path of the SQLite file."""
        return self._store.path

    def fact(self, name: str) -> str | None:
        """Return the value of a name; None where there is none."""
        row = self._store.read().execute("select value from facts where name = ?", (name,)).fetchone()
        return None if row is None else str(row["value"])

    def states(self, owner: str) -> tuple[dict[str, Any] | None, Mapping[str, str]]:
        """Return the states of an owner, None where there are none, and the facts of the same moment."""
        with self._store.reading() as connection:
            row = connection.execute("select states from states where owner = ?", (owner,)).fetchone()
            facts = connection.execute("select name, value from facts").fetchall()
        return (None if row is None else orjson.loads(row["states"])), {fact["name"]: fact["value"] for fact in facts}

    def row(self, table: str, key: str) -> dict[str, Any] | None:
        """Return a row as the log has it; None where there is none."""
        return _row(self._store.read(), table, key)

    def children(self, table: str, parents: tuple[str, str]) -> list[dict[str, Any]]:
        """Return the rows of a table that belong to one of two parents."""
        found = self._store.read().execute(
            "select row from rows where table_name = ? and parent in (?, ?)", (table, *parents)
        )
        return [orjson.loads(row["row"]) for row in found]

    def version(self) -> int:
        """Return a number that changes with each write of another process or thread; cheap to read."""
        if not self._store.is_file:
            return int(self.fact(_WRITTEN) or 0)
        (version,) = self._store.read().execute("pragma data_version").fetchone()
        return int(version)

    def glance(
        self,
        owner: str,
        facts: tuple[str, str, str],
        rows: tuple[RowKey, RowKey],
        children: tuple[str, str, str],
    ) -> Glance:
        """Return three facts, whether two rows exist, the states of an owner, and rows by parent, in one statement.

        children: a table, and two parents.
        """
        row = self._store.read().execute(self._glance, (*facts, *rows[0], *rows[1], owner, *children)).fetchone()
        return Glance((row[0], row[1], row[2]), (bool(row[3]), bool(row[4])), row[5], row[6])

    def all_states(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield every owner with its states."""
        for row in self._store.stream("select owner, states from states"):
            yield row["owner"], orjson.loads(row["states"])

    def rows(self, table: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield every row of a table with its key."""
        for row in self._store.stream("select key, row from rows where table_name = ?", (table,)):
            yield row["key"], orjson.loads(row["row"])

    def keys(self, table: str) -> list[str]:
        """Return the keys of a table's rows."""
        return [row["key"] for row in self._store.read().execute("select key from rows where table_name = ?", (table,))]

    @contextmanager
    def change(self) -> Iterator[Draft]:
        """Open a draft of changes, written as one transaction at the end; nothing is written if the body raises."""
        with self._store.write() as connection:
            draft = Draft(connection)
            yield draft
            draft.write()
            if not self._store.is_file:
                connection.execute(_COUNT_WRITE, (_WRITTEN,))

    def keep(self, name: str, value: str) -> None:
        """Store a value under a name."""
        with self.change() as draft:
            draft.put_fact(name, value)

    def checkpoint(self) -> bool:
        """Move SQLite's log into the file; return whether all earlier writes now survive a power cut.

        The writer goes on meanwhile, unless it is so busy that the log keeps growing. A long read keeps a part of
        the log from being moved. PostgreSQL does all this itself: what is committed survives.
        """
        if not self._store.is_file:
            return True
        connection = self._store.read()
        is_busy, frames, moved = connection.execute("pragma wal_checkpoint(passive)").fetchone()
        if frames > _CHECKPOINT_FRAMES:
            connection.execute("pragma wal_checkpoint(restart)").fetchone()
        return not is_busy and frames == moved

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Set this thread's connection up for continuous writing within the body: a large cache for a large file, and
        commits that never move the log, which is slow: a `CheckpointThread` does it.
        """
        if not self._store.is_file:
            yield
            return
        connection = self._store.read()
        (cache,) = connection.execute("pragma cache_size").fetchone()
        connection.execute(f"pragma cache_size = -{_WRITER_CACHE_KIB}")
        connection.execute("pragma wal_autocheckpoint = 0")
        try:
            yield
        finally:
            connection.execute(f"pragma cache_size = {cache}")
            connection.execute("pragma wal_autocheckpoint = 1000")

    def clear(self) -> None:
        """Remove everything, to rebuild it from scratch."""
        with self._store.write() as connection:
            for table in ("facts", "rows", "states"):
                connection.execute(f"delete from {table}")
            if not self._store.is_file:
                connection.execute(_COUNT_WRITE, (_WRITTEN,))

    def release(self) -> None:
        """Close this thread's connection."""
        self._store.release()

    def close(self) -> None:
        """Close the file."""
        self._store.close()


class CheckpointThread:
    """A thread that makes checkpoints: the writer of `store` never waits for the disk.

    kept: the value of the fact `name` that survives a power cut; None where there is none.
    """

    def __init__(self, store: FeatureStore, name: str, seconds: float) -> None:
        self._store, self._name, self._seconds = store, name, seconds
        self._kept: str | None = None
        self._error: Exception | None = None
        self._ended = threading.Event()
        self._one_at_a_time = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="checkpoints", daemon=True)

    @property
    def kept(self) -> str | None:
        """Return the value that is safe. Raises the error of the last checkpoint, if it failed."""
        if self._error is not None:
            raise self._error
        return self._kept

    def keep(self) -> str | None:
        """Make a checkpoint now; return the value that is safe then."""
        with self._one_at_a_time:
            value = self._store.fact(self._name)
            if self._store.checkpoint():
                self._kept = value
            return self._kept

    def __enter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the thread and wait for it."""
        self._ended.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            while not self._ended.wait(self._seconds):
                self.keep()
        except STATE_FAULTS as error:  # raised by `kept`: a thread has no caller
            self._error = error
        finally:
            self._store.release()


class Draft:
    """Changes that are not written yet; reads through the draft see them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: dict[tuple[str, str], tuple[str | None, dict[str, Any]] | None] = {}
        self._changed_rows: set[tuple[str, str]] = set()
        self._drafted: dict[tuple[str, str | None], set[str]] = {}
        self._states: dict[str, dict[str, Any]] = {}
        self._changed_states: set[str] = set()
        self._facts: dict[str, str | None] = {}

    def row(self, table: str, key: str) -> dict[str, Any] | None:
        """Return a row; None where there is none."""
        found = self._found(table, key)
        return None if found is None else found[1]

    def put_row(self, table: str, key: str, parent: str | None, row: dict[str, Any] | None) -> None:
        """Set a row and the key of its parent; None removes the row."""
        self._rows[table, key] = None if row is None else (parent, row)
        self._changed_rows.add((table, key))
        self._drafted.setdefault((table, parent), set()).add(key)

    def children(self, table: str, parent: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the rows of a table that belong to `parent`, by key."""
        stored = self._connection.execute(
            "select key from rows where table_name = ? and parent = ?", (table, parent)
        ).fetchall()
        keys = {row["key"] for row in stored} | self._drafted.get((table, parent), set())
        found = ((key, self._found(table, key)) for key in sorted(keys))
        return [(key, row[1]) for key, row in found if row is not None and row[0] == parent]

    def table_keys(self, table: str) -> list[str]:
        """Return the keys of all rows of a table."""
        stored = self._connection.execute("select key from rows where table_name = ?", (table,)).fetchall()
        keys = {row["key"] for row in stored} | {key for name, key in self._changed_rows if name == table}
        return sorted(key for key in keys if self._found(table, key) is not None)

    def states(self, owner: str) -> dict[str, Any]:
        """Return the states of an owner; empty where there are none."""
        if owner not in self._states:
            row = self._connection.execute("select states from states where owner = ?", (owner,)).fetchone()
            self._states[owner] = {} if row is None else orjson.loads(row["states"])
        return self._states[owner]

    def put_states(self, owner: str, states: dict[str, Any]) -> None:
        """Set the states of an owner."""
        self._states[owner] = states
        self._changed_states.add(owner)

    def put_fact(self, name: str, value: str | None) -> None:
        """Store a value under a name; None removes it."""
        self._facts[name] = value

    def write(self) -> None:
        """Write all changes within the transaction."""
        changed = ((table, key, self._rows[table, key]) for table, key in self._changed_rows)
        kept, gone = [], []
        for table, key, found in changed:
            if found is None:
                gone.append((table, key))
            else:
                kept.append((table, key, found[0], _text(found[1])))
        self._many(_PUT_ROW, kept)
        self._many("delete from rows where table_name = ? and key = ?", gone)
        states = ((owner, _text(self._states[owner])) for owner in self._changed_states)
        self._many(_PUT_STATES, states)
        self._many(_PUT_FACT, ((n, v) for n, v in self._facts.items() if v is not None))
        self._many("delete from facts where name = ?", ((n,) for n, v in self._facts.items() if v is None))

    def _many(self, statement: str, values: Iterable[tuple[Any, ...]]) -> None:
        self._connection.executemany(statement, values)

    def _found(self, table: str, key: str) -> tuple[str | None, dict[str, Any]] | None:
        if (table, key) not in self._rows:
            row = self._connection.execute(
                "select parent, row from rows where table_name = ? and key = ?", (table, key)
            ).fetchone()
            self._rows[table, key] = None if row is None else (row["parent"], orjson.loads(row["row"]))
        return self._rows[table, key]


def _text(value: dict[str, Any]) -> str:
    return orjson.dumps(value).decode()


def _row(connection: Connection, table: str, key: str) -> dict[str, Any] | None:
    found = connection.execute("select row from rows where table_name = ? and key = ?", (table, key)).fetchone()
    return None if found is None else orjson.loads(found["row"])
