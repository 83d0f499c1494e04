"""A small loan book on a real PostgreSQL, its stream, and the decisions made from it."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from obstore.store import MemoryStore
from prometheus_client import CollectorRegistry

from quintet.change_log.log import ObjectStore
from quintet.domain import ServiceContext
from quintet.domains import open_state_store
from quintet.embedded.postgres import EmbeddedPostgres
from quintet.lending.application import Application
from quintet.lending.decision_log import DecisionRecord
from quintet.lending.feature_registry import features
from quintet.lending.replicated import LendingApplier
from quintet.lending.served import FOLDER
from quintet.lending.service import build_service
from quintet.ml.model_registry import ModelRegistry
from quintet.replication.database import lsn_of
from quintet.replication.run import Options, Stream
from quintet.settings import load_settings
from quintet.state.features import FeatureStore
from tests.running_stream import running
from tests.unit.lending.models import scorecard
from tests.waiting import wait_until

NOW = dt.datetime.now(dt.UTC)
"""Today: the stream has no history of the days before its snapshot."""
OPTIONS = Options(
    feedback_seconds=0.05,
    watch_seconds=0.2,
    slot_wait_seconds=5,
    start_seconds=20,
    reconnect_seconds=0.02,
    longest_pause_seconds=0.2,
)
TABLES = (
    'create table "user" (id integer primary key, created_on date, birth_date date, note varchar)',
    "create table loan (id integer primary key, client_id integer, amount double precision, created_on date, "
    "status varchar, updated_on date, duration integer)",
    "create table payment (id integer primary key, loan_id integer, principle double precision, "
    "interest double precision, status varchar, created_on date)",
)
ROWS = (
    "insert into \"user\" values (1, '2020-01-01', '1980-01-01'), (2, '2020-01-01', '1980-01-01')",
    "insert into loan values (1, 1, 100, '2020-02-01', 'paid', '2020-06-20', 30), "
    "(2, 2, 100, '2020-02-01', 'paid', '2020-06-20', 30)",
    "insert into payment values (1, 1, 100, 9, 'on_time', '2020-06-20'), (2, 2, 100, 9, 'on_time', '2020-06-20')",
)
_numbers = itertools.count(1)
_applications = itertools.count(1_000)


class Replica:
    """A database of its own with a book, and what a stream makes of it in `home`."""

    def __init__(self, url: str, home: Path) -> None:
        self.url, self.home = url, home
        self.log: ObjectStore = MemoryStore()
        self.applier = LendingApplier(FeatureStore(home / "online"), features())

    def run(self, *statements: str) -> None:
        """Execute statements, each in its own transaction."""
        with psycopg.connect(self.url, autocommit=True, client_encoding="utf8") as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def ask(self, query: str) -> Any:
        with psycopg.connect(self.url, autocommit=True, client_encoding="utf8") as connection:
            row = connection.execute(query.encode()).fetchone()
            return row[0] if row else None

    @contextmanager
    def stream(self, url: str | None = None, **arguments: Any) -> Iterator[Stream]:
        """Run a stream in a thread, and raise the error that ended it, if any."""
        with running(Stream(url or self.url, self.log, self.applier, OPTIONS), **arguments) as stream:
            yield stream

    def decide(self, client: int = 1, table: str = "loan") -> DecisionRecord:
        """Commit an application as the CRM does, and return its decision."""
        number = next(_applications)
        self.run(
            f"insert into {table} (id, client_id, amount, created_on, status, updated_on) "
            f"values ({number}, {client}, 400, '{NOW:%Y-%m-%d}', 'application', '{NOW:%Y-%m-%d}')"
        )
        settings = load_settings({"QUINTET_HOME": str(self.home), "QUINTET_DECISION_SECONDS": "10"})
        registry = ModelRegistry(settings.models / FOLDER)
        model = scorecard()
        registry.register(model.version, model.to_json(), NOW, "a test", {})
        end = lsn_of(self.ask("select pg_current_wal_lsn()::text"))
        application = Application(number, client, 400.0, 30, NOW.date(), NOW, end)

        async def decided() -> DecisionRecord:
            with closing(open_state_store(settings.online)) as store:
                service = build_service(ServiceContext(settings, store, lambda: NOW, CollectorRegistry()))
                await service.start()
                try:
                    return (await service.decisions.decide(application, "a test")).record
                finally:
                    await service.close()

        return asyncio.run(decided())


@contextmanager
def server(other: str | None, folder: Path) -> Iterator[str]:
    """Return the URL of a superuser: of the other server if one is given, else of an embedded one in `folder`."""
    if other is not None:
        yield other
        return
    with EmbeddedPostgres(folder / "pg", {"fsync": "off"}) as postgres:
        yield postgres.url


@contextmanager
def database(server_url: str, *statements: str, encoding: str = "UTF8") -> Iterator[str]:
    """Create a database with the statements executed in it, and drop it with its slots."""
    name = f"replica_{next(_numbers)}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        options = f"encoding '{encoding}' lc_collate 'C' lc_ctype 'C' template template0"
        admin.execute(f"create database {name} {options}".encode())
        url = f"{server_url.rsplit('/', 1)[0]}/{name}"
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                for statement in statements:
                    connection.execute(statement.encode())
            yield url
        finally:
            admin.execute("select pg_terminate_backend(active_pid) from pg_replication_slots where active")
            wait_until(lambda: not admin.execute("select 1 from pg_replication_slots where active").fetchone())
            admin.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
            admin.execute(f"drop database {name} with (force)".encode())
