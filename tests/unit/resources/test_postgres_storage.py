"""Dagster's runs and events are kept in PostgreSQL where a setting says so, and outlive the disk of the machine."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from dagster._core.instance import DagsterInstance
from psycopg.conninfo import make_conninfo

from cli.dead_runs import release_dead_runs
from resources.event_log import OpenEventLog, open_instance
from resources.postgres_storage import (
    DagsterStorageError,
    EventsInPostgres,
    RunsInPostgres,
    SchedulesInPostgres,
    libpq_parameters,
    sqlalchemy_url,
)

_PROJECT = Path(__file__).resolve().parents[3]
_SETTING = "QUINTET_DAGSTER_STORAGE_URL"
_KEY = dg.AssetKey("one")


@dg.asset
def one() -> None:
    pass


@dg.asset
def failing() -> None:
    raise ValueError("postgresql://user:planted-password@host/database does not answer")


@pytest.fixture
def url(state_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    with psycopg.connect(state_url, autocommit=True) as connection:
        connection.execute("drop schema if exists dagster cascade")
    monkeypatch.setenv(_SETTING, state_url)
    return state_url


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return new_home(tmp_path / "home", monkeypatch)


def new_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty DAGSTER_HOME with the configuration of the project."""
    folder.mkdir()
    shutil.copy(_PROJECT / "dagster.yaml", folder)
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    return folder


def test_another_machine_goes_on_with_the_history(
    home: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_instance() as instance:
        run = dg.materialize([one], instance=instance)
    shutil.rmtree(home)
    new_home(tmp_path / "other", monkeypatch)
    with open_instance() as instance:
        assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.SUCCESS
        assert instance.get_latest_materialization_event(_KEY).run_id == run.run_id
    with psycopg.connect(url) as connection:
        tables = connection.execute("select tablename from pg_tables where schemaname = 'dagster'").fetchall()
    assert {"runs", "event_logs", "job_ticks"} <= {name for (name,) in tables}


@pytest.mark.usefixtures("url")
def test_without_the_setting_the_history_is_in_files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(_SETTING)
    with open_instance() as instance:
        dg.materialize([one], instance=instance)
        assert isinstance(instance.event_log_storage, OpenEventLog)
    assert (home / "history" / "runs.db").exists()
    assert (home / "schedules" / "schedules.db").exists()


@pytest.mark.usefixtures("home")
def test_no_event_and_no_configuration_shows_a_secret(url: str) -> None:
    with open_instance() as instance:
        assert isinstance(instance.event_log_storage, EventsInPostgres)
        dg.materialize([failing], instance=instance, raise_on_error=False)
        described = instance.info_str()
    with psycopg.connect(url) as connection:
        events = "".join(event for (event,) in connection.execute("select event from dagster.event_logs").fetchall())
    assert "does not answer" in events
    assert "planted-password" not in events
    assert libpq_parameters(url)["password"] not in described


@pytest.mark.usefixtures("home", "url")
def test_a_run_whose_process_is_dead_is_ended() -> None:
    with open_instance() as instance:
        run = instance.add_run(dg.DagsterRun("job", status=dg.DagsterRunStatus.STARTED))
        assert release_dead_runs(instance) == [run.run_id]
        assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.FAILURE


@pytest.mark.usefixtures("home", "url")
def test_processes_that_start_at_once_create_the_tables_once() -> None:
    failures: list[BaseException] = []

    def start() -> None:
        try:
            for kind in (RunsInPostgres, EventsInPostgres, SchedulesInPostgres):
                kind.opened(None).dispose()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.usefixtures("home")
def test_a_database_that_does_not_answer_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_SETTING, "postgresql://someone:planted-password@127.0.0.1:9/none")
    with pytest.raises(DagsterStorageError, match="QUINTET_DAGSTER_STORAGE_URL") as raised, DagsterInstance.get():
        pass
    assert "planted-password" not in str(raised.value)
    assert "127.0.0.1" in str(raised.value)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("has_schema", [True, False])
def test_a_user_who_may_create_no_schema_uses_the_one_that_is_there(
    url: str, monkeypatch: pytest.MonkeyPatch, has_schema: bool
) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("drop role if exists history")
        connection.execute("create role history login password 'history'")
        if has_schema:
            connection.execute("create schema dagster authorization history")
    monkeypatch.setenv(_SETTING, make_conninfo(url, user="history", password="history"))
    if has_schema:
        with open_instance() as instance:
            assert dg.materialize([one], instance=instance).success
    else:
        with pytest.raises(DagsterStorageError, match="permission denied"), DagsterInstance.get():
            pass
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("drop owned by history cascade")
        connection.execute("drop role history")


@pytest.mark.usefixtures("home")
def test_a_schema_that_does_not_exist_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_SETTING, f"{url}?options=-csearch_path%3Dabsent")
    with pytest.raises(DagsterStorageError, match="absent"), DagsterInstance.get():
        pass


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("postgresql://u:p%40%2F@h:6/d", ("u", "p@/", "h", 6, "d")),
        ("host=h user=u password='p w' dbname=d", ("u", "p w", "h", None, "d")),
        ("postgres:///d?host=/run/socket&user=u", ("u", None, "/run/socket", None, "d")),
    ],
)
def test_every_form_that_libpq_reads_is_read(given: str, read: tuple[str, str, str, int, str]) -> None:
    found = sqlalchemy_url(libpq_parameters(given))
    assert (found.username, found.password, found.host, found.port, found.database) == read
    assert found.query["options"] == "-csearch_path=dagster"


def test_several_hosts_keep_their_ports() -> None:
    found = sqlalchemy_url(libpq_parameters("postgresql://u@a:1,b:2/d?target_session_attrs=read-write"))
    assert found.query["host"] == ("a:1", "b:2")
    assert found.query["target_session_attrs"] == "read-write"
