"""The stream on a real PostgreSQL and a real object store: parity of the features, and every fault around it."""

from __future__ import annotations

import datetime as dt
import random
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import obstore
import psycopg
import pytest
from obstore.store import MemoryStore

from quintet.backup.create import back_up
from quintet.backup.restore import restore
from quintet.change_log.change import Change
from quintet.change_log.lake import compact, expire
from quintet.change_log.log import ObjectStore, epochs, open_store, stretches
from quintet.change_log.place import open_log
from quintet.domains import MIGRATIONS
from quintet.embedded.object_store import EmbeddedObjectStore
from quintet.embedded.postgres import EmbeddedPostgres
from quintet.lending.feature_registry import features
from quintet.lending.online import OnlineFeatures
from quintet.lending.replicated import LendingApplier, open_applier
from quintet.lending.tables import catch_up_with_log, client_features, training_rows
from quintet.replication import metrics
from quintet.replication.database import (
    ChangesLostError,
    PublisherAwayError,
    PublisherError,
    Replication,
    SlotTakenError,
    lsn_of,
)
from quintet.replication.run import Options, Stream
from quintet.samples.lending import LendingWorld, make_book
from quintet.samples.lending_dump import load_book
from quintet.samples.lending_traffic import Traffic
from quintet.settings import Settings, load_settings
from quintet.state.features import Draft, FeatureStore
from tests.change_log import logged_changes
from tests.postgres import drop_slots, values_by_sql
from tests.running_stream import running
from tests.state_places import own_schema
from tests.waiting import LONG_SECONDS, wait_until

_TODAY = date(2020, 8, 24)
_CLIENTS = 600
_OPTIONS = Options(
    most_waiting=40,
    feedback_seconds=0.05,
    watch_seconds=0.2,
    slot_wait_seconds=1,
    start_seconds=20,
    reconnect_seconds=0.1,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("pg") / "pg", {"fsync": "off"}) as postgres:
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute("create database template_book")
        with psycopg.connect(postgres.url.rsplit("/", 1)[0] + "/template_book") as connection:
            load_book(make_book(LendingWorld(clients=_CLIENTS), 7), connection)
            connection.execute("create index on loan (client_id)")
            connection.execute("create index on payment (loan_id)")
        yield postgres


@pytest.fixture
def url(server: EmbeddedPostgres) -> Iterator[str]:
    """Create a database with a loan book."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("create database trial template template_book")
        yield server.url.rsplit("/", 1)[0] + "/trial"
        connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'trial'")
        drop_slots(connection)
        connection.execute("drop database trial")


@pytest.fixture
def online(tmp_path: Path) -> Iterator[LendingApplier]:
    store = FeatureStore(tmp_path / "online")
    yield LendingApplier(store, features())
    store.close()


@contextmanager
def _running(
    url: str, log: ObjectStore, online: LendingApplier, clock: Callable[[], float] = time.time, **arguments: Any
) -> Iterator[Stream]:
    """Run a stream in a thread, yield once it receives, and raise the error that ended it, if any."""
    with running(Stream(url, log, online, _OPTIONS, clock), **arguments) as stream:
        yield stream


def _ask(url: str, statement: str) -> Any:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchone()[0] if cursor.description else None  # type: ignore[index]


def _measure(name: str) -> float | None:
    return metrics.REGISTRY.get_sample_value(name)


def _await_applied(url: str, online: LendingApplier) -> None:
    end = lsn_of(_ask(url, "select pg_logical_emit_message(true, 'trial', 'mark')::text"))
    wait_until(lambda: int(online.store.fact("flushed") or 0) >= end)


def _changes(log: ObjectStore) -> list[Change]:
    return logged_changes(log, epochs(log)[-1])


def test_stream_backfill_and_plain_sql_agree_on_ten_thousand_pairs(
    url: str, online: LendingApplier, tmp_path: Path
) -> None:
    log, draw = MemoryStore(), random.Random(7)
    with _running(url, log, online), psycopg.connect(url, autocommit=True) as connection:
        traffic = Traffic(connection, 3, _TODAY)
        for number in range(400):
            traffic.step()
            if number == 200:
                traffic.change_schema()
        _await_applied(url, online)
    clients = range(1, int(_ask(url, 'select max(id) from "user"')) + 1)
    asked = [(draw.choice(clients), _TODAY - timedelta(days=draw.randint(-30, 900))) for _ in range(10_000)]
    expected = values_by_sql(url, asked)
    backfill = FeatureStore(tmp_path / "backfill")
    backfilled = OnlineFeatures(backfill, features())
    backfilled.catch_up(log, epochs(log)[-1])
    for features_now in (online, backfilled):
        found = {pair: features_now.features_of(*pair) for pair in expected}
        assert {pair: value.values for pair, value in found.items() if value} == expected
    backfill.close()
    assert len({str(value) for value in expected.values()}) > 500


def test_every_client_of_user_has_features(url: str, online: LendingApplier) -> None:
    with _running(url, MemoryStore(), online):
        pass
    assert set(online.store.keys("user")) <= {owner for owner, _ in online.store.all_states()}
    found = online.features_of(1, _TODAY)
    assert found is not None
    assert found.is_known
    assert online.features_of(10**9, _TODAY) is None


def test_without_the_project_the_bucket_is_read_with_duckdb(url: str, online: LendingApplier, tmp_path: Path) -> None:
    with EmbeddedObjectStore(tmp_path / "s3") as objects:
        with _running(url, open_store(objects.url), online):
            pass
        columns = "{commit_lsn: 'ubigint', sequence: 'ubigint', \"table\": 'varchar', \"row\": 'json'}"
        files = f"read_json('{objects.objects}/changes/*/*.jsonl.gz', columns={columns})"
        (read,) = duckdb.sql(
            "select count(*), count(distinct (commit_lsn, sequence)), sum((\"row\"->>'amount')::double) "
            f"from {files} where \"table\" = 'loan'"
        ).fetchall()
    assert read[0] == read[1] == _ask(url, "select count(*) from loan")
    assert read[2] == pytest.approx(_ask(url, "select sum(amount) from loan"))


def test_while_the_store_is_down_features_are_updated_and_nothing_is_lost(
    url: str, online: LendingApplier, tmp_path: Path
) -> None:
    objects = EmbeddedObjectStore(tmp_path / "s3")
    objects.start()
    log = open_store(objects.url)
    with _running(url, log, online), psycopg.connect(url, autocommit=True) as connection:
        objects.kill()
        for number in range(300):  # more than may wait
            connection.execute("insert into loan (id, client_id, status) values (%s, 1, 'active')", (900_000 + number,))
            if number % 50 == 0:
                time.sleep(0.05)
        wait_until(lambda: online.store.row("loan", "900299") is not None)
        assert _measure("quintet_stream_shedding") == 1
        assert _measure("quintet_stream_waiting_events") == 0
        end = lsn_of(_ask(url, "select pg_current_wal_lsn()::text"))
        assert int(online.store.fact("flushed") or 0) < end
        objects.start()
        _await_applied(url, online)
        inserted = [change.row["id"] for change in _changes(log) if change.operation == "insert" and change.row]
        assert inserted == list(range(900_000, 900_300))
    objects.stop()


def test_a_stream_that_starts_while_the_store_is_down_waits_for_it(
    url: str, online: LendingApplier, tmp_path: Path
) -> None:
    objects = EmbeddedObjectStore(tmp_path / "s3")
    objects.start()
    log = open_store(objects.url)
    with _running(url, log, online):
        _await_applied(url, online)
    objects.kill()
    _ask(url, "insert into loan (id, client_id) values (900000, 1)")
    back = threading.Timer(1, objects.start)
    back.start()
    with _running(url, log, online):
        _await_applied(url, online)
    back.join()
    assert [change.row["id"] for change in _changes(log) if change.operation == "insert" and change.row] == [900_000]
    objects.stop()


def test_a_store_that_refuses_the_keys_is_reported_at_once(url: str, online: LendingApplier, tmp_path: Path) -> None:
    with EmbeddedObjectStore(tmp_path / "s3") as objects:
        log = open_store(objects.url.replace("http://", "http://x"))
        with pytest.raises(obstore.exceptions.BaseError, match="403"), _running(url, log, online):
            pass
    assert _ask(url, "select count(*) from pg_replication_slots") == 0


@pytest.mark.parametrize("change", ["drop column duration", "rename duration to days", "alter duration type text"])
def test_a_column_that_is_dropped_or_retyped_quarantines_the_table_until_a_new_snapshot(
    url: str, online: LendingApplier, change: str
) -> None:
    log = MemoryStore()
    with _running(url, log, online):
        _ask(url, f"alter table loan {change}")
        _ask(url, "insert into loan (id, client_id, status) values (900000, 1, 'active')")
        _ask(url, "insert into payment (id, loan_id) values (900000, 1)")
        _await_applied(url, online)
    assert online.store.row("loan", "900000") is None
    assert online.store.row("payment", "900000") is not None
    epoch = epochs(log)[-1].name
    assert len(stretches(log, epoch, "quarantine")) == 1
    with _running(url, log, online):  # it stays quarantined after a restart of the stream
        _ask(url, "insert into loan (id, client_id, status) values (900001, 1, 'active')")
        _await_applied(url, online)
    assert online.store.row("loan", "900001") is None
    with _running(url, log, online, new_snapshot=True):
        wait_until(lambda: online.store.row("loan", "900001") is not None)
    assert len(epochs(log)) == 2


def test_a_database_that_does_not_answer_is_reported_after_a_wait(online: LendingApplier) -> None:
    stream = Stream("postgresql://u:secret@127.0.0.1:9/d", MemoryStore(), online, Options(start_seconds=0.5))
    with pytest.raises(PublisherAwayError, match="no connection to PostgreSQL") as raised:
        stream.run()
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("refusing", [(Draft, "write"), (FeatureStore, "checkpoint")])
def test_a_full_disk_ends_the_stream_and_nothing_is_lost(
    url: str, online: LendingApplier, monkeypatch: pytest.MonkeyPatch, refusing: tuple[type, str]
) -> None:
    log, refused = MemoryStore(), threading.Event()

    def refuse(*_: object) -> None:
        refused.set()
        raise sqlite3.OperationalError("database or disk is full")

    def commit_while_it_is_full() -> None:
        monkeypatch.setattr(*refusing, refuse)
        _ask(url, "insert into loan (id, client_id, status) values (900000, 1, 'active')")
        assert refused.wait(LONG_SECONDS)

    with pytest.raises(sqlite3.OperationalError, match="disk is full"), _running(url, log, online):
        commit_while_it_is_full()
    monkeypatch.undo()
    with _running(url, log, online):
        _await_applied(url, online)
    assert online.store.row("loan", "900000") is not None
    assert [change.row["id"] for change in _changes(log) if change.operation == "insert" and change.row] == [900_000]


def test_a_clock_that_is_set_back_changes_neither_order_nor_features(url: str, online: LendingApplier) -> None:
    log, offset = MemoryStore(), [0.0]
    with _running(url, log, online, clock=lambda: time.time() + offset[0]):
        for number in range(20):
            offset[0] = -1e9 * (number % 2)  # to before 2000 and again
            _ask(url, f"insert into loan (id, client_id, status) values ({900_000 - number}, 1, 'active')")
            time.sleep(0.02)
        _await_applied(url, online)
    inserted = [change.row["id"] for change in _changes(log) if change.operation == "insert" and change.row]
    assert inserted == [900_000 - number for number in range(20)]
    assert online.store.row("loan", "899981") is not None


def test_an_added_column_passes(url: str, online: LendingApplier) -> None:
    log = MemoryStore()
    with _running(url, log, online):
        _ask(url, "alter table loan add column channel varchar default 'web'")
        _ask(url, "insert into loan (id, client_id, channel) values (900000, 1, 'phone')")
        _await_applied(url, online)
    row = online.store.row("loan", "900000")
    assert row is not None
    assert row["channel"] == "phone"
    assert stretches(log, epochs(log)[-1].name, "quarantine") == []


@pytest.mark.parametrize("loss", ["dropped", "recreated"])
def test_a_lost_slot_ends_the_stream_until_a_new_snapshot(url: str, online: LendingApplier, loss: str) -> None:
    log = MemoryStore()
    with _running(url, log, online):
        _await_applied(url, online)
    _ask(url, "select pg_drop_replication_slot('quintet')")
    _ask(url, "insert into loan (id, client_id) values (900000, 1)")
    if loss == "recreated":
        _ask(url, "select pg_create_logical_replication_slot('quintet', 'pgoutput')::text")
    with pytest.raises(ChangesLostError, match="--new-snapshot"), _running(url, log, online):
        pass
    with _running(url, log, online, new_snapshot=True):
        wait_until(lambda: online.store.row("loan", "900000") is not None)


def test_a_slot_that_another_consumer_reads_is_not_taken_from_it(url: str, online: LendingApplier) -> None:
    log = MemoryStore()
    with _running(url, log, online):
        pass
    other = Replication(url)
    other.start("quintet", "quintet", 0, binary=True)
    with pytest.raises(SlotTakenError, match="read by another consumer"), _running(url, log, online):
        pass
    other.close()


def test_a_standby_takes_over_without_a_gap(url: str, server: EmbeddedPostgres, tmp_path: Path) -> None:
    log, place = MemoryStore(), own_schema(server.url, tmp_path / "online")
    appliers = [LendingApplier(FeatureStore(place), features()) for _ in range(2)]
    standby = Stream(url, log, appliers[1], replace(_OPTIONS, is_standby=True))
    thread = threading.Thread(target=standby.run)
    with _running(url, log, appliers[0]):
        thread.start()
        _ask(url, "update loan set status = status where id % 7 = 0")
        _await_applied(url, appliers[0])
        assert not standby.ready.is_set(), "it waits while the other one reads the slot"
    wait_until(standby.ready.is_set)
    _ask(url, "update loan set status = status where id % 11 = 0")
    _await_applied(url, appliers[1])
    standby.stop.set()
    thread.join()
    positions = [(change.commit_lsn, change.sequence) for change in _changes(log)]
    assert len(positions) == len(set(positions))
    assert appliers[0].store.fact("flushed") == appliers[1].store.fact("flushed")
    for applier in appliers:
        applier.store.close()


def test_standbys_that_start_at_once_begin_one_epoch_and_one_of_them_streams(
    url: str, server: EmbeddedPostgres, tmp_path: Path
) -> None:
    log, place = MemoryStore(), own_schema(server.url, tmp_path / "online")
    appliers = [LendingApplier(FeatureStore(place), features()) for _ in range(3)]
    streams = [Stream(url, log, applier, replace(_OPTIONS, is_standby=True)) for applier in appliers]
    ended: list[object] = []

    def run(stream: Stream) -> None:
        try:
            stream.run()
            ended.append("stopped")
        except Exception as error:
            ended.append(error)

    threads = [threading.Thread(target=run, args=(stream,)) for stream in streams]
    for thread in threads:
        thread.start()
    wait_until(lambda: ended or any(stream.ready.is_set() for stream in streams))
    reader = "select active_pid from pg_replication_slots where slot_name = 'quintet' and active_pid is not null"
    for _ in range(5):  # a server that restarts lets all of them connect again at once
        pid = wait_until(lambda: _ask(url, f"select ({reader})"))
        _ask(
            url,
            "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() "
            "and datname = 'trial'",
        )
        wait_until(lambda pid=pid: ended or _ask(url, f"select ({reader})") not in (None, pid))
    assert ended == []
    assert len(epochs(log)) == 1
    for stream in streams:
        stream.stop.set()
    for thread in threads:
        thread.join(LONG_SECONDS)
    assert ended == ["stopped"] * 3
    for applier in appliers:
        applier.store.close()


def test_a_standby_that_waits_can_be_stopped(url: str, online: LendingApplier, tmp_path: Path) -> None:
    log = MemoryStore()
    with _running(url, log, online):
        waiting = LendingApplier(FeatureStore(tmp_path / "waiting"), features())
        standby = Stream(url, log, waiting, replace(_OPTIONS, is_standby=True))
        thread = threading.Thread(target=standby.run)
        thread.start()
        standby.stop.set()
        thread.join(LONG_SECONDS)
        assert not thread.is_alive()
        waiting.store.close()


def test_a_slot_of_the_same_name_of_another_stream_is_not_touched(url: str, online: LendingApplier) -> None:
    _ask(url, "select pg_create_logical_replication_slot('quintet', 'pgoutput')::text")
    with pytest.raises(SlotTakenError, match="belongs to another stream"), _running(url, MemoryStore(), online):
        pass
    assert _ask(url, "select count(*) from pg_replication_slots where slot_name = 'quintet'") == 1


def test_wrong_credentials_are_reported_without_the_password(url: str, online: LendingApplier) -> None:
    wrong = url.replace("quintet:", "quintet:secret", 1)
    with (
        pytest.raises(PublisherError, match="password authentication failed") as raised,
        _running(wrong, MemoryStore(), online),
    ):
        pass
    assert "secret" not in str(raised.value)


def test_a_database_without_the_tables_is_reported(server: EmbeddedPostgres, online: LendingApplier) -> None:
    with (
        pytest.raises(PublisherError, match=r"has no table public\.loan, public\.payment, public\.user"),
        _running(server.url, MemoryStore(), online),
    ):
        pass


def test_a_file_of_features_that_was_removed_is_rebuilt_from_the_log(
    url: str, online: LendingApplier, tmp_path: Path
) -> None:
    log = MemoryStore()
    with _running(url, log, online):
        _ask(url, "insert into loan (id, client_id) values (900000, 1)")
        _await_applied(url, online)
    rebuilt = LendingApplier(FeatureStore(tmp_path / "rebuilt"), features())
    with _running(url, log, rebuilt):
        assert dict(rebuilt.store.all_states()) == dict(online.store.all_states())
    rebuilt.store.close()


def test_an_interrupted_snapshot_is_repeated(url: str, online: LendingApplier, monkeypatch: pytest.MonkeyPatch) -> None:
    log = MemoryStore()
    with monkeypatch.context() as patch:
        patch.setattr(
            "quintet.replication.run.write_epoch", lambda *_: (_ for _ in ()).throw(PublisherError("cut short"))
        )
        with pytest.raises(PublisherError, match="cut short"), _running(url, log, online):
            pass
    _ask(url, "delete from payment where id = (select min(id) from payment)")
    with _running(url, log, online):
        assert len(online.store.keys("payment")) == _ask(url, "select count(*) from payment")
    assert len(epochs(log)) == 1


def test_the_stream_continues_and_features_are_rebuilt_after_the_log_was_compacted_and_has_expired(
    url: str, online: LendingApplier, tmp_path: Path
) -> None:
    log = MemoryStore()
    with _running(url, log, online):
        _ask(url, "insert into loan (id, client_id, status) values (900000, 1, 'active')")
        _await_applied(url, online)
    epoch = epochs(log)[-1]
    compact(log, epoch)
    expire(log, epoch, dt.datetime(2100, 1, 1, tzinfo=dt.UTC))
    assert stretches(log, epoch.name) == []
    with _running(url, log, online):
        _ask(url, "update loan set status = 'paid' where id = 900000")
        _await_applied(url, online)
    catch_up_with_log(tmp_path / "rebuilt", log, epoch, features())
    rebuilt = client_features(tmp_path / "rebuilt", features(), _TODAY).set_index("client_id")
    for client in (1, 2, 3):
        found = online.features_of(client, _TODAY)
        assert found is not None
        values = rebuilt.loc[client].drop("as_of").astype("object")
        assert values.where(values.notna(), None).to_dict() == found.values
    assert set(rebuilt.index) == {int(key) for key in online.store.keys("user")}
    training = training_rows(tmp_path / "rebuilt", features()).set_index("application_id")
    assert len(training) == _ask(url, "select count(*) from loan where created_on is not null")


def test_a_table_without_a_column_that_features_read_is_reported(url: str, online: LendingApplier) -> None:
    _ask(url, "alter table payment drop column interest")
    with (
        pytest.raises(PublisherError, match=r"public\.payment cannot be replicated: it lacks the column interest"),
        _running(url, MemoryStore(), online),
    ):
        pass
    assert _ask(url, "select count(*) from pg_replication_slots") == 0


@pytest.mark.parametrize("has_moved_on", [True, False], ids=["the slot has moved on", "nothing happened since"])
def test_a_restored_home_loses_no_change_silently(url: str, tmp_path: Path, has_moved_on: bool) -> None:
    """A stream of a restored home starts only where the slot still is; else it asks for a new snapshot."""
    settings = load_settings({"QUINTET_HOME": str(tmp_path / "home"), "QUINTET_RAW": str(tmp_path / "raw")})
    known = {owner: len(scripts) for owner, scripts in MIGRATIONS.items()}
    with _stream_of(settings, url), psycopg.connect(url, autocommit=True) as connection:
        traffic = Traffic(connection, 5, _TODAY)
        for number in range(60):
            traffic.step()
            if number == 30:
                made = back_up(settings, tmp_path / "b.tar", dt.datetime.now(dt.UTC), lambda _: None)
    if not has_moved_on:
        made = back_up(settings, tmp_path / "c.tar", dt.datetime.now(dt.UTC), lambda _: None)
    shutil.rmtree(settings.home)
    restore(settings, made.path, known, dt.datetime.now(dt.UTC), lambda _: None)
    if has_moved_on:
        with pytest.raises(ChangesLostError, match="beyond what this stream acknowledged"), _stream_of(settings, url):
            pass
    with _stream_of(settings, url, new_snapshot=has_moved_on) as applier:
        _await_applied(url, applier)
        asked = [(client, _TODAY) for client in range(1, 200)]
        found = {pair: applier.features_of(*pair) for pair in asked}
        assert {pair: value.values for pair, value in found.items() if value} == values_by_sql(url, asked)


@contextmanager
def _stream_of(settings: Settings, url: str, **arguments: Any) -> Iterator[LendingApplier]:
    """Run the stream of a home."""
    applier = open_applier(settings)
    try:
        with _running(url, open_log(settings), applier, **arguments):
            yield applier
    finally:
        applier.store.close()
