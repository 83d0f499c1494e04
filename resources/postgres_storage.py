"""Dagster's storage in the PostgreSQL database of QUINTET_DAGSTER_STORAGE_URL, by dagster-postgres.

`resources.storage` and `resources.event_log` open these where that setting is given. The URL comes from the settings,
so that no file, page or log of Dagster's configuration shows it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import psycopg
from dagster._serdes import ConfigurableClassData
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage, PostgresScheduleStorage
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL, QueuePool, create_engine

from quintet.masking import masked
from quintet.settings import load_settings
from resources.recorded_runs import RecordedRuns

SCHEMA = "dagster"
"""The schema of the tables; another one can be set in the URL: `?options=-csearch_path%3Dname`."""

_OWN_SCHEMA = re.compile(rf"search_path={SCHEMA}(?!\w)")
_DRIVER = "postgresql+psycopg2"
_DEFAULTS = {"connect_timeout": "5", "application_name": "quintet dagster"}
_CREATION_LOCK = zlib.crc32(b"quintet dagster storage")
_MOST_CONNECTIONS = 4


class DagsterStorageError(RuntimeError):
    """The database of Dagster's storage cannot be used; the text says why and what to do."""


class _InPostgres:
    """A storage in the database of the settings."""

    @classmethod
    def opened(cls, inst_data: ConfigurableClassData | None) -> Self:
        """Return the storage, with its tables created. Raises DagsterStorageError if the database cannot be used."""
        url = load_settings().dagster_storage_url
        if url is None:
            raise ValueError("QUINTET_DAGSTER_STORAGE_URL is not set")
        given = libpq_parameters(url.get_secret_value())
        with _alone_in(given, url.get_secret_value()):  # two processes do not create the tables at the same time
            return cls(sqlalchemy_url(given).render_as_string(hide_password=False), inst_data=inst_data)  # type: ignore[call-arg]


class RunsInPostgres(_InPostgres, PostgresRunStorage):
    """The runs."""


class SchedulesInPostgres(_InPostgres, PostgresScheduleStorage):
    """The states of schedules and sensors."""


class EventsInPostgres(_InPostgres, RecordedRuns, PostgresEventLogStorage):
    """The events. A run writes about a thousand; the base class would connect for each."""

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(postgres_url, inst_data=inst_data)
        self._engine = create_engine(
            postgres_url,
            isolation_level="AUTOCOMMIT",
            poolclass=QueuePool,
            pool_size=1,
            max_overflow=_MOST_CONNECTIONS - 1,
            pool_pre_ping=True,
        )

    def dispose(self) -> None:
        """Close all connections."""
        self._engine.dispose()
        super().dispose()


def libpq_parameters(url: str) -> dict[str, Any]:
    """Return the parameters of a URL or of `key=value` pairs, with the schema and the times that it does not give."""
    given = {**_DEFAULTS, **conninfo_to_dict(url)}
    options = str(given.get("options") or "")
    if "search_path" not in options:
        given["options"] = f"{options} -csearch_path={SCHEMA}".strip()
    return given


def sqlalchemy_url(given: dict[str, Any]) -> URL:
    """Return the URL for SQLAlchemy of libpq's parameters; of several hosts, the first that answers is used."""
    rest = {name: str(value) for name, value in given.items() if name not in {"user", "password", "dbname"}}
    names = {"username": given.get("user"), "password": given.get("password"), "database": given.get("dbname")}
    hosts, ports = rest.pop("host", "").split(","), rest.pop("port", "").split(",")
    if len(hosts) == 1:
        port = int(ports[0]) if ports[0] else None
        return URL.create(_DRIVER, **names, host=hosts[0] or None, port=port, query=rest)
    ports = ports * len(hosts) if len(ports) == 1 else ports
    places = tuple(f"{host}:{port}" if port else host for host, port in zip(hosts, ports, strict=True))
    return URL.create(_DRIVER, **names, query={**rest, "host": places})


@contextmanager
def _alone_in(given: dict[str, Any], url: str) -> Iterator[None]:
    """Hold the lock for creating tables, with the schema created. Raises DagsterStorageError if that is impossible."""
    try:
        connection = psycopg.connect(**given, autocommit=True)
    except psycopg.Error as error:
        raise _unusable(error, url) from None
    with connection:
        try:
            connection.execute("select pg_advisory_lock(%s)", (_CREATION_LOCK,))
            is_there = connection.execute("select 1 from pg_namespace where nspname = %s", (SCHEMA,)).fetchone()
            if not is_there and _OWN_SCHEMA.search(given["options"]):  # to create one needs a right, even if it exists
                connection.execute(f"create schema if not exists {SCHEMA}")
            (schema,) = connection.execute("select current_schema()").fetchall()[0]
        except psycopg.Error as error:
            raise _unusable(error, url) from None
        if schema is None:
            raise DagsterStorageError(
                f"the schema that QUINTET_DAGSTER_STORAGE_URL names ({given['options']}) does not exist. Create it."
            )
        yield


def _unusable(error: psycopg.Error, url: str) -> DagsterStorageError:
    reason = masked(" ".join(str(error).split()), [url]).rstrip(".?")
    return DagsterStorageError(
        f"the database of Dagster's storage cannot be used: {reason}. Start the database, or correct "
        "QUINTET_DAGSTER_STORAGE_URL; without it, runs and events are in SQLite files of the home."
    )
