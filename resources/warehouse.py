"""The warehouse as a Dagster resource."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import duckdb
from dagster_duckdb import DuckDBResource

from quintet.domains import DATASETS, RECORDED
from quintet.ingest import raw_tables
from quintet.ingest.forgotten import set_forgotten
from quintet.settings import load_settings
from quintet.state import recorded
from quintet.state.forgotten import read_forgotten
from quintet.state_place import StatePlace
from quintet.warehouse.built import built_versions, set_built
from quintet.warehouse.database import open_warehouse

POOL = "duckdb_writer"
"""The concurrency pool of every op that opens the warehouse; its limit is one."""


class Warehouse(DuckDBResource):
    """A DuckDBResource that closes its connection when the body raises, waits for the lock, and limits its memory.

    online: the folder of the state store with the forgotten persons; empty if there is none. The URL of its database
    is secret, so it is not in Dagster's configuration: it is read from the environment.
    """

    memory_limit: str
    threads: int
    lock_wait_seconds: float
    snapshots_kept: int
    online: str = ""

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a writing connection to the prepared warehouse."""
        with open_warehouse(
            Path(self.database),
            memory_limit=self.memory_limit,
            threads=self.threads,
            lock_wait_seconds=self.lock_wait_seconds,
        ) as connection:
            _prepare(connection)
            if self.online:
                set_forgotten(connection, read_forgotten(StatePlace(Path(self.online), load_settings().state.url)))
            yield connection


_PREPARED = "raw and recorded tables"
"""The name under which `ops.built` has the version of what `_prepare` creates."""


def _prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the tables that runs write to, unless they are there in this version.

    A run opens the warehouse a dozen times, and preparing it takes as long as opening and closing it.
    """
    found = "select schema_name, table_name from duckdb_tables() where schema_name in ('raw', 'ops')"
    tables = set(connection.execute(found).fetchall())
    expected = {("ops", "built"), *(("raw", name) for name in DATASETS), *(("ops", table.name) for table in RECORDED)}
    if expected <= tables and built_versions(connection).get(_PREPARED) == _version():
        return
    raw_tables.prepare(connection, DATASETS.values())
    recorded.create_recorded(connection, RECORDED)
    set_built(connection, {_PREPARED: _version()})


@cache
def _version() -> str:
    created = raw_tables.preparation(DATASETS.values()) + recorded.preparation(RECORDED)
    return hashlib.sha256(created.encode()).hexdigest()[:16]
