"""Every route that changes something is in the audit log, or says why not; and what is recorded names no person."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.testclient import TestClient

from quintet.domains import open_state_store
from quintet.settings import load_settings
from quintet.state.audit import Entry, last_entries
from quintet.state.keys import create_key
from quintet.state.store import StateStore
from quintet.web import audit
from quintet.web.app import _routers
from quintet.web.audit import AuditMiddleware, about, audited, declaration_of, not_audited

_NOW = dt.datetime(2026, 3, 4, tzinfo=dt.UTC)
_SAFE = {"GET", "HEAD", "OPTIONS"}


def _undeclared(routers: list[APIRouter]) -> list[str]:
    return [
        f"{sorted(route.methods)} {route.path}"
        for router in routers
        for route in router.routes
        if getattr(route, "methods", None) and set(route.methods) - _SAFE and declaration_of(route.endpoint) is None
    ]


def test_every_route_that_takes_data_declares_its_audit() -> None:
    routers = _routers()
    changing = [r for router in routers for r in router.routes if getattr(r, "methods", None) and r.methods - _SAFE]
    assert len(changing) > 10
    assert _undeclared(routers) == []


def test_a_route_without_a_declaration_is_found() -> None:
    router = APIRouter()

    @router.post("/forgotten")
    def change() -> None: ...

    @router.post("/declared")
    @not_audited("nothing is stored")
    def other() -> None: ...

    assert _undeclared([router]) == ["['POST'] /forgotten"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    with closing(open_state_store(tmp_path)) as store:
        yield store


def _client(store: StateStore) -> TestClient:
    app = FastAPI()

    @app.post("/labels/{user_id}")
    @audited("labels.set")
    def label(request: Request, user_id: str) -> str:
        about(request, "user", user_id)
        request.state.key = create_key(store, "Ana", ["admin"], _NOW, bytes)[0]
        return "done"

    @app.post("/silences/{silence_id}")
    @audited("silences.end")
    def silence(silence_id: int) -> int:
        return silence_id

    @app.get("/page")
    def page() -> str:
        return "page"

    app.add_middleware(AuditMiddleware, store=store, clock=lambda: _NOW, random_bytes=bytes)
    return TestClient(app, raise_server_exceptions=False)


def _entries(store: StateStore) -> list[Entry]:
    return list(last_entries(store, 10))


def test_a_request_is_recorded_with_key_action_and_status(store: StateStore) -> None:
    client = _client(store)
    assert client.post("/silences/3").status_code == 200
    assert client.post("/silences/x").status_code == 422
    assert client.get("/page").status_code == 200
    found = [(entry.actor, entry.action, entry.subject, entry.outcome) for entry in _entries(store)]
    assert found == [
        ("unknown", "silences.end", "silence_id=3", "200"),
        ("unknown", "silences.end", "silence_id=x", "422"),
    ]


def test_a_person_is_named_by_a_keyed_hash(store: StateStore) -> None:
    assert _client(store).post("/labels/u-1001").status_code == 200
    (entry,) = _entries(store)
    assert (entry.actor, entry.actor_id) == ("Ana", "00000000")
    assert entry.subject.startswith("user:")
    assert "u-1001" not in entry.subject


def test_without_the_entry_there_is_no_answer(store: StateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError("disk full")

    client = _client(store)
    monkeypatch.setattr("quintet.web.audit.record", fail)
    assert client.post("/silences/3").status_code == 500


def test_the_settings_of_the_service_record_sign_ins(tmp_path: Path) -> None:
    from quintet.web.app import create_app  # noqa: PLC0415

    settings = load_settings({"QUINTET_HOME": str(tmp_path), "QUINTET_ADMIN_KEY": "a-long-admin-key"})
    app = create_app(settings, "code", lambda: _NOW, bytes)  # type: ignore[arg-type]
    with TestClient(app) as client:
        assert client.post("/sign-in", data={"key": "wrong-key-of-somebody"}).status_code == 401
        assert client.post("/sign-in", data={"key": "a-long-admin-key"}, follow_redirects=False).status_code == 303
    with closing(open_state_store(tmp_path / "online")) as store:
        found = [(entry.actor, entry.outcome) for entry in _entries(store) if entry.action == "sessions.open"]
    assert found == [("unknown", "401"), ("QUINTET_ADMIN_KEY", "303")]


@pytest.mark.parametrize(("answered", "sent"), [(200, 503), (403, 503), (503, 503)])
def test_without_its_entry_a_request_has_no_answer_but_a_fault(
    answered: int, sent: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = FastAPI()

    @app.get("/persons")
    @audited("persons.read")
    def read() -> Response:
        return Response("their data", answered)

    def refuse(*_: object) -> None:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(audit, "record", refuse)
    with closing(open_state_store(tmp_path)) as store:
        app.add_middleware(AuditMiddleware, store=store, clock=lambda: _NOW, random_bytes=bytes)
        answer = TestClient(app).get("/persons")
    assert (answer.status_code, "their data" in answer.text) == (sent, answered == sent)
