"""The embedded PostgreSQL: it starts, keeps commits, survives a kill, and reports faults."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from quintet.embedded.postgres import EmbeddedPostgres, programs, running_url
from quintet.embedded.processes import EmbeddedServerError
from tests.machine import require_root


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("closed") / "postgres"  # below a folder of mode 700, as a home may be


@pytest.fixture(scope="module")
def postgres(folder: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(folder, {"work_mem": "5MB"}) as server:
        yield server


def _ask(url: str, statement: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None  # type: ignore[index]


def test_it_runs_with_logical_replication_and_the_given_settings(postgres: EmbeddedPostgres) -> None:
    assert _ask(postgres.url, "show wal_level") == "logical"
    assert _ask(postgres.url, "show work_mem") == "5MB"


def test_it_listens_on_the_loopback_alone(postgres: EmbeddedPostgres) -> None:
    assert _ask(postgres.url, "show listen_addresses") == "127.0.0.1"
    assert _ask(postgres.url, "show unix_socket_directories") == ""


def test_it_asks_for_the_password(postgres: EmbeddedPostgres) -> None:
    wrong = postgres.url.replace("quintet:", "quintet:x", 1)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_started_by_root_it_runs_as_an_account_without_rights(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    require_root()
    assert Path(f"/proc/{postgres.pid}").stat().st_uid != 0
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):  # it cannot write root's files
        _ask(postgres.url, f"copy (select 1) to '{closed}/no'")
    assert list(closed.iterdir()) == []


def test_other_processes_find_its_url_while_it_runs(postgres: EmbeddedPostgres, folder: Path, tmp_path: Path) -> None:
    assert running_url(folder) == postgres.url
    assert running_url(tmp_path) is None


def test_a_second_server_in_the_folder_is_refused(postgres: EmbeddedPostgres, folder: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=f"as process {postgres.pid}"):
        EmbeddedPostgres(folder).start()
    assert _ask(postgres.url, "select 1") == 1


def test_commits_survive_a_kill_and_the_url_stays(postgres: EmbeddedPostgres, folder: Path) -> None:
    _ask(postgres.url, "create table kept as select 42 as answer")
    url = postgres.url
    postgres.kill()
    assert running_url(folder) is None
    assert postgres.start() == url
    assert _ask(url, "select answer from kept") == 42


def test_stopping_and_starting_keeps_the_data(postgres: EmbeddedPostgres, folder: Path) -> None:
    _ask(postgres.url, "create table stays as select 1 as one")
    postgres.stop()
    postgres.stop()
    with pytest.raises(EmbeddedServerError, match="does not run"):
        _ = postgres.pid
    with EmbeddedPostgres(folder) as again:
        assert _ask(again.url, "select one from stays") == 1
    postgres.start()


def test_it_takes_another_port_when_its_own_is_taken(postgres: EmbeddedPostgres, folder: Path) -> None:
    postgres.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", int((folder / "port").read_text())))
        other.listen()
        assert _ask(postgres.start(), "select 1") == 1
        assert f":{other.getsockname()[1]}/" not in postgres.url


def test_a_lost_password_is_reported(postgres: EmbeddedPostgres, folder: Path) -> None:
    postgres.stop()
    right = (folder / "password").read_text()
    (folder / "password").write_text("wrong")
    with pytest.raises(EmbeddedServerError, match="correct it"):
        postgres.start()
    (folder / "password").write_text(right)
    assert _ask(postgres.start(), "select 1") == 1


def test_a_cluster_of_another_version_is_refused(postgres: EmbeddedPostgres, folder: Path) -> None:
    postgres.stop()
    (folder / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedServerError, match="is of PostgreSQL 9"):
        postgres.start()
    (folder / "data" / "PG_VERSION").write_text("18\n")
    postgres.start()


def test_a_wrong_setting_is_reported_with_the_message_of_postgresql(postgres: EmbeddedPostgres, folder: Path) -> None:
    postgres.stop()
    with pytest.raises(EmbeddedServerError, match="max_wal_senders"):
        EmbeddedPostgres(folder, {"max_wal_senders": "many"}).start()
    postgres.start()


def test_a_folder_with_other_files_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(EmbeddedServerError, match=r"it holds letters\.txt"):
        EmbeddedPostgres(tmp_path).start()
    assert [entry.name for entry in tmp_path.iterdir()] == ["letters.txt"]


def test_the_programs_of_postgresql_are_installed() -> None:
    assert {"psql", "pg_dump", "pg_restore", "pg_recvlogical"} <= {entry.name for entry in programs().iterdir()}
