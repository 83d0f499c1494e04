"""Dagster's SQLite event log, with connections that stay open and marks for the runs that are being executed.

A run writes about a thousand events. For each, the base class opens and closes every file again, which took a fifth of
a run's time, and waits for the disk. `dagster.yaml` names this class, so that every Dagster process uses it: the
process that executes a run marks it and reports its progress, and the process that records a run's end frees its slots
in the pools.
"""

import os
import sqlite3
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster import DagsterEventType, DagsterInstance, EventLogEntry
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, QueuePool, create_engine
from sqlalchemy.event import listen

from quintet.redaction import without_secrets
from resources.run_marks import hold_mark, marks_folder, note_unfinished, release_mark
from resources.run_progress import RunProgress

_MOST_OPEN_FILES = 32
_BUSY_SECONDS = 30
"""How long a statement waits for a file that another process writes."""
_PLANNED = DagsterEventType.ASSET_MATERIALIZATION_PLANNED
_ENDS = (DagsterEventType.RUN_SUCCESS, DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_CANCELED)


class OpenEventLog(SqliteEventLogStorage):
    """Writes the same files and tables with one engine for each file instead of one for each event.

    base_dir: if relative, it starts at DAGSTER_HOME.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._tables: set[str] = set()
        self._progress = RunProgress()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> "OpenEventLog":
        """Return the event log for Dagster's configuration."""
        return cls(str(Path(os.environ.get("DAGSTER_HOME", ""), config_value["base_dir"])), inst_data)

    def store_event(self, event: EventLogEntry) -> None:
        """Store the event; mark the run before its start event, free its slots after its end event, note a failure."""
        if _begins_here(event):
            hold_mark(marks_folder(self._home), event.run_id)
        super().store_event(event)
        self._progress.take(event, lambda: len(self.get_logs_for_run(event.run_id, of_type=_PLANNED)))
        if event.dagster_event is not None and event.dagster_event.event_type in _ENDS:
            if event.dagster_event.event_type is not DagsterEventType.RUN_SUCCESS:
                note_unfinished(self._home)
            self.free_concurrency_slots_for_run(event.run_id)
            release_mark(marks_folder(self._home), event.run_id)

    def _event_to_row(self, event: EventLogEntry) -> dict[str, Any]:
        """Return the row of an event, whose errors and messages may hold secrets, without them."""
        row = super()._event_to_row(event)
        return row | {"event": without_secrets(row["event"])}

    @property
    def _home(self) -> Path:
        return Path(self._instance.root_directory)

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


def _begins_here(event: EventLogEntry) -> bool:
    """Return whether this process starts to execute the run with this event."""
    begun = event.dagster_event
    if begun is None:
        return False
    if begun.event_type is DagsterEventType.RUN_START:
        return True
    if begun.event_type is not DagsterEventType.ENGINE_EVENT:
        return False
    pid = begun.engine_event_data.metadata.get("pid")
    return pid is not None and pid.value == str(os.getpid())


def open_instance() -> DagsterInstance:
    """Return the instance of DAGSTER_HOME; replace its event log by this class if it is Dagster's SQLite one."""
    instance = DagsterInstance.get()
    if type(instance.event_log_storage) is not SqliteEventLogStorage:
        return instance
    log = {"module": __name__, "class": OpenEventLog.__name__}
    folder = Path(instance.event_log_storage.path_for_shard("index")).parent
    overrides = {"event_log_storage": log | {"config": {"base_dir": str(folder)}}}
    return DagsterInstance.from_ref(InstanceRef.from_dir(instance.root_directory, overrides=overrides))
