"""PostgreSQL fails over to its standby, and the stream goes on there without a gap."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from obstore.store import MemoryStore

from quintet.change_log.log import ObjectStore, epochs
from quintet.embedded.postgres import EmbeddedPostgres
from quintet.embedded.processes import free_port
from quintet.lending.feature_registry import features
from quintet.lending.replicated import LendingApplier
from quintet.replication.run import Options, Stream
from quintet.samples.lending import LendingWorld, make_book
from quintet.samples.lending_dump import load_book
from quintet.state.features import FeatureStore
from tests.change_log import logged_changes
from tests.running_stream import running
from tests.waiting import wait_until

_OPTIONS = Options(feedback_seconds=0.05, watch_seconds=0.2, reconnect_seconds=0.1)
_SYNCED = "select synced and not temporary from pg_replication_slots where slot_name = 'quintet'"
_IS_MARKED = "select failover from pg_replication_slots where slot_name = 'quintet'"


def ask(url: str, statement: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path / "primary") as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            load_book(make_book(LendingWorld(clients=20), 7), connection)
        yield server


@pytest.fixture
def standby(primary: EmbeddedPostgres, tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A standby that copies the slots of the primary, which sends nothing that the standby has not got."""
    ask(primary.url, "select pg_create_physical_replication_slot('standby')")
    primary.stop()
    folder = tmp_path / "standby"
    subprocess.run(["cp", "-a", str(primary.folder), str(folder)], check=True)
    (folder / "data" / "standby.signal").touch()
    primary.start()
    ask(primary.url, "alter system set synchronized_standby_slots = 'standby'")
    ask(primary.url, "select pg_reload_conf()")
    settings = {
        "primary_conninfo": primary.url,
        "primary_slot_name": "standby",
        "sync_replication_slots": "on",
        "hot_standby_feedback": "on",
    }
    with EmbeddedPostgres(folder, settings, port=free_port()) as server:
        yield server


@contextmanager
def streaming(url: str, log: ObjectStore, applier: LendingApplier) -> Iterator[Stream]:
    with running(Stream(url, log, applier, _OPTIONS)) as stream:
        yield stream


def test_the_stream_goes_on_at_the_standby_without_a_gap(
    primary: EmbeddedPostgres, standby: EmbeddedPostgres, tmp_path: Path
) -> None:
    log, numbers = MemoryStore(), iter(range(1, 1_000))

    def commit(url: str) -> int:
        number = next(numbers)
        ask(url, f"insert into loan (id, client_id) values ({900_000 + number}, 1)")
        return 900_000 + number

    with closing(FeatureStore(tmp_path / "online")) as store:
        applier = LendingApplier(store, features())
        with streaming(primary.url, log, applier):
            assert ask(primary.url, _IS_MARKED) is True

            def is_synced() -> bool:
                commit(primary.url)
                return ask(standby.url, _SYNCED) is True

            wait_until(is_synced, lambda: standby.log.read_text("utf-8")[-2_000:])
            last = commit(primary.url)
            wait_until(lambda: store.row("loan", str(last)) is not None)
        primary.kill()
        ask(standby.url, "select pg_promote()")
        with streaming(standby.url, log, applier):
            last = commit(standby.url)
            wait_until(lambda: store.row("loan", str(last)) is not None)
    changes = logged_changes(log, epochs(log)[-1])
    inserted = [int(change.row["id"]) for change in changes if change.table == "loan" and change.operation == "insert"]
    assert inserted == list(range(900_001, last + 1)), "each once and in order"
    assert len(epochs(log)) == 1


def test_a_slot_of_an_earlier_release_is_marked_as_well(primary: EmbeddedPostgres, tmp_path: Path) -> None:
    log = MemoryStore()
    with closing(FeatureStore(tmp_path / "online")) as store:
        applier = LendingApplier(store, features())
        with streaming(primary.url, log, applier):
            pass
        wait_until(lambda: not ask(primary.url, "select active from pg_replication_slots"))
        with psycopg.connect(primary.url, autocommit=True) as connection:
            moved = (
                "select pg_drop_replication_slot('quintet')",
                "select pg_copy_logical_replication_slot('kept', 'quintet')",
            )
            connection.execute("select pg_copy_logical_replication_slot('quintet', 'kept')")
            for statement in moved:
                connection.execute(statement.encode())
        assert ask(primary.url, _IS_MARKED) is False, "a copy is not marked, like a slot of an earlier release"
        with streaming(primary.url, log, applier):
            assert ask(primary.url, _IS_MARKED) is True
