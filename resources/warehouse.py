"""The warehouse as a Dagster resource."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from dagster_duckdb import DuckDBResource

from quintet.domains import DATASETS, RECORDED
from quintet.ingest.forgotten import set_forgotten
from quintet.ingest.raw_tables import prepare
from quintet.state.forgotten import read_forgotten
from quintet.state.recorded import create_recorded
from quintet.warehouse.database import open_warehouse

POOL = "duckdb_writer"
"""The concurrency pool of every op that opens the warehouse; its limit is one."""


class Warehouse(DuckDBResource):
    """A DuckDBResource that closes its connection when the body raises, waits for the lock, and limits its memory.

    online: the folder of the state store with the forgotten persons; empty if there is none.
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
            prepare(connection, DATASETS.values())
            create_recorded(connection, RECORDED)
            if self.online:
                set_forgotten(connection, read_forgotten(Path(self.online)))
            yield connection
