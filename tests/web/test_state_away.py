"""The service on PostgreSQL, alone and as two, and while the database does not answer."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from fastapi.testclient import TestClient

from quintet.state.faults import StateError
from quintet.state.keys import create_key
from quintet.state.store import StateStore
from quintet.state_place import StatePlace
from quintet.web.guesses import WRONG_KEYS
from tests.state_places import state_server
from tests.web.payments import TRANSACTIONS, minute
from tests.web.service import ADMIN, build_app


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with state_server(tmp_path_factory.mktemp("server")) as url:
        yield url


class Database:
    """A database of its own, which can be closed to everyone."""

    def __init__(self, server: str, name: str) -> None:
        self._server, self._name = server, name
        self.url = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        self._run(f"create database {name}")

    def close(self) -> None:
        """Let nobody in, and end all connections."""
        self._run(f"alter database {self._name} allow_connections false")
        self._run(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{self._name}'")

    def open(self) -> None:
        """Let everybody in."""
        self._run(f"alter database {self._name} allow_connections true")

    def _run(self, statement: str) -> None:
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(statement.encode())


def client_of(home: Path, url: str) -> TestClient:
    return TestClient(build_app(home, QUINTET_STATE_URL=url), headers=ADMIN, raise_server_exceptions=False)


def sent(client: TestClient, number: int, **counts: int) -> Any:
    return client.post(TRANSACTIONS, json=minute(number, **counts))


def test_while_the_database_is_away_reads_go_on_and_writes_answer_503(server: str, own_home: Path) -> None:
    database = Database(server, "away")
    with client_of(own_home, database.url) as admin:
        with closing(StateStore(StatePlace(own_home, database.url))) as store:
            _, text = create_key(store, "Ana", ["insurance:read"], dt.datetime.now(dt.UTC), os.urandom)
        key = {"Authorization": f"Bearer {text}"}
        assert sent(admin, 1).status_code == 200
        before = admin.get("/v1/insurance/performance", headers=key)
        assert "nothing is published" in before.json()["detail"]

        database.close()
        refused = sent(admin, 2)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert "nothing was written" in refused.json()["detail"]
        during = admin.get("/v1/insurance/performance", headers=key)
        assert during.json()["detail"] == before.json()["detail"], "the key is still known"
        unknown = admin.get("/v1/insurance/performance", headers={"Authorization": "Bearer qk_unknown"})
        assert unknown.status_code == 503, "whether the key is wrong is not known"

        database.open()
        assert sent(admin, 2).status_code == 200


def test_a_text_that_postgresql_cannot_hold_is_refused(server: str, own_home: Path) -> None:
    database = Database(server, "texts")
    with client_of(own_home, database.url) as client:
        item = {"minute_at": "2024-01-01T12:00:00Z", "status": "approved", "transaction_id": "a\0b"}
        answer = client.post(TRANSACTIONS, json=item)
        assert answer.status_code == 422, answer.text
        assert sent(client, 1).status_code == 200


def test_a_database_that_is_away_at_the_start_is_named(server: str, own_home: Path) -> None:
    database = Database(server, "closed")
    database.close()
    with pytest.raises(StateError, match=r"/closed cannot be reached.* Start the database"):
        client_of(own_home, database.url)


def test_two_services_are_one_system(server: str, own_home: Path, tmp_path: Path) -> None:
    database = Database(server, "two")
    with client_of(own_home, database.url) as first, client_of(tmp_path / "b", database.url) as second:
        both = (first, second)
        answers = [sent(client, minute).status_code for minute in range(20) for client in both]
        assert set(answers) == {200}
        verdict = sent(first, 20, denied=70).json()["items"][1]
        assert verdict["recommendation"] == "alert"
        assert sent(second, 20, denied=70).json()["items"][1]["incident_id"] == verdict["incident_id"]
        wrong = {"Authorization": "Bearer qk_wrong"}
        tried = [one.get("/v1/cases", headers=wrong).status_code for _ in range(WRONG_KEYS // 2) for one in both]
        assert set(tried) == {401}
        assert {one.get("/v1/cases", headers=wrong).status_code for one in both} == {429}
        assert first.get("/v1/cases").status_code == 200, "the right key is let in"
        silence = {"minutes": 60, "series": "denied", "comment": "maintenance"}
        assert first.post("/v1/payments/silences/begin", json=silence).status_code == 200
        assert [one["series"] for one in second.get("/v1/payments/silences").json()["items"]] == ["denied"]
