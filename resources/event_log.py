"""Dagster's own event log in SQLite, with connections that stay open.

Belongs here: how this process reaches the files that Dagster lays out and reads. A run writes about a thousand events;
for each, the base class opens, compiles for and closes every file anew, which was a fifth of the time of a run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster import DagsterInstance
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, QueuePool, create_engine


class OpenEventLog(SqliteEventLogStorage):
    """The same files and tables; one engine for each file instead of one for each event."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, Engine] = {}
        self._tables: set[str] = set()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> "OpenEventLog":
        """As Dagster makes it."""
        return cls(config_value["base_dir"], inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            if shard not in self._engines:
                engine = create_engine(
                    self.conn_string_for_shard(shard),
                    poolclass=QueuePool,
                    connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
                )
                self._initdb(engine)
                self._engines[shard] = engine
            with self._engines[shard].begin() as connection:
                yield connection

    def has_table(self, table_name: str) -> bool:
        """Whether the log has the table; one that was there once stays."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def dispose(self) -> None:
        """Close all files."""
        for engine in self._engines.values():
            engine.dispose()
        super().dispose()


def open_instance() -> DagsterInstance:
    """The instance of DAGSTER_HOME, with this event log where its own is the usual one in SQLite."""
    instance = DagsterInstance.get()
    if type(instance.event_log_storage) is not SqliteEventLogStorage:
        return instance
    log = {"module": __name__, "class": OpenEventLog.__name__}
    folder = Path(instance.event_log_storage.path_for_shard("index")).parent
    overrides = {"event_log_storage": log | {"config": {"base_dir": str(folder)}}}
    return DagsterInstance.from_ref(InstanceRef.from_dir(instance.root_directory, overrides=overrides))
