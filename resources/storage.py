"""Dagster's runs and schedules: SQLite files of the home, or the database of QUINTET_DAGSTER_STORAGE_URL.

`dagster.yaml` names these classes; `resources.event_log` has the third part of the storage, the events.
"""

import os
from pathlib import Path
from typing import Any

from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.schedules import SqliteScheduleStorage
from dagster._serdes import ConfigurableClassData

_SETTING = "QUINTET_DAGSTER_STORAGE_URL"


def is_in_postgres() -> bool:
    """Return whether the settings name a database."""
    return bool(os.environ.get(_SETTING, "").strip())


def folder_of(config_value: Any) -> str:
    """Return the folder of a configuration. A relative one starts at DAGSTER_HOME.

    Dagster's own commands run without it, in a checkout: theirs is the history of that checkout's home.
    """
    home = os.environ.get("DAGSTER_HOME", "").strip() or Path(os.environ.get("QUINTET_HOME") or "data", "dagster")
    return str(Path(home, config_value["base_dir"]).absolute())


class RunStorage(SqliteRunStorage):
    """The runs."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Any:
        """Return the storage for Dagster's configuration. Raises DagsterStorageError if the database is not usable."""
        if is_in_postgres():
            from resources.postgres_storage import RunsInPostgres  # noqa: PLC0415  # most homes have files

            return RunsInPostgres.opened(inst_data)
        return cls.from_local(folder_of(config_value), inst_data)


class ScheduleStorage(SqliteScheduleStorage):
    """The states of schedules and sensors."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Any:
        """Return the storage for Dagster's configuration. Raises DagsterStorageError if the database is not usable."""
        if is_in_postgres():
            from resources.postgres_storage import SchedulesInPostgres  # noqa: PLC0415  # most homes have files

            return SchedulesInPostgres.opened(inst_data)
        return cls.from_local(folder_of(config_value), inst_data)
