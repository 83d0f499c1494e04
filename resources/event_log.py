"""Dagster's SQLite event log, with connections that stay open.

A run writes about a thousand events. For each, the base class opens and closes every file again, which took a fifth of
a run's time, and waits for the disk. `dagster.yaml` names this class, so that every Dagster process uses it.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster import DagsterInstance
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, QueuePool, create_engine
from sqlalchemy.event import listen

from resources.recorded_runs import RecordedRuns
from resources.storage import folder_of, is_in_postgres

_MOST_OPEN_FILES = 32
_BUSY_SECONDS = 30
"""How long a statement waits for a file that another process writes."""


class OpenEventLog(RecordedRuns, SqliteEventLogStorage):
    """Writes the same files and tables with one engine for each file instead of one for each event."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._tables: set[str] = set()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Any:
        """Return the log for Dagster's configuration. Raises DagsterStorageError if the database is not usable."""
        if is_in_postgres():
            from resources.postgres_storage import EventsInPostgres  # noqa: PLC0415  # most homes have files

            return EventsInPostgres.opened(inst_data)
        return cls(folder_of(config_value), inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            if shard not in self._engines:
                engine = create_engine(
                    self.conn_string_for_shard(shard),
                    poolclass=QueuePool,
                    connect_args={"timeout": _BUSY_SECONDS},
                )
                listen(engine, "connect", _write_without_waiting_for_the_disk)
                self._initdb(engine)
                self._engines[shard] = engine
                if len(self._engines) > _MOST_OPEN_FILES:  # the daemon opens a file for each run
                    self._engines.popitem(last=False)[1].dispose()
            self._engines.move_to_end(shard)
            with self._engines[shard].begin() as connection:
                yield connection

    def has_table(self, table_name: str) -> bool:
        """Return whether the log has the table; a table that exists is remembered."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def dispose(self) -> None:
        """Close all files."""
        for engine in self._engines.values():
            engine.dispose()
        super().dispose()


def _write_without_waiting_for_the_disk(connection: sqlite3.Connection, record: object) -> None:  # noqa: ARG001
    """Do not sync to disk for each event and each table of a new file.

    A killed process loses nothing. A failure of the machine may lose the last events, but never damages the log.
    """
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = normal")


def open_instance() -> DagsterInstance:
    """Return the instance of DAGSTER_HOME; replace its event log by this class if it is Dagster's SQLite one."""
    instance = DagsterInstance.get()
    if type(instance.event_log_storage) is not SqliteEventLogStorage:
        return instance
    log = {"module": __name__, "class": OpenEventLog.__name__}
    folder = Path(instance.event_log_storage.path_for_shard("index")).parent
    overrides = {"event_log_storage": log | {"config": {"base_dir": str(folder)}}}
    return DagsterInstance.from_ref(InstanceRef.from_dir(instance.root_directory, overrides=overrides))
