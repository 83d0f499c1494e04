"""No page, form or route answers hostile input with an internal error."""

from __future__ import annotations

import itertools
import json
import random
import sqlite3
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.web.routes import OPEN, PARAMETERS, names, routes
from tests.web.service import ADMIN

HOSTILE = {
    "many digits": "9" * 5_000,
    "a large number": str(2**63),
    "a negative number": "-1",
    "digits of another script": "٣²",
    "a control character": "a\x00b\x1b[31m",
    "markup": "<script>[/x]{{7*7}}%s",
    "a long text": "é" * 3_000,
    "sql": "x'; drop table keys; --",
    "a path": "../../etc/passwd",
    "the first day": "0001-01-01",
    "the last moment": "9999-12-31T23:59:59.999999-14:00",
    "no day": "2024-02-30",
    "not a number": "nan",
    "infinity": "1e999",
    "nothing": "",
    "a surrogate": "\udcff",
}
HEADERS = (
    "accept", "accept-encoding", "authorization", "content-type", "cookie", "host", "if-none-match", "last-event-id",
    "origin", "range", "referer", "sec-fetch-site", "x-forwarded-for", "x-forwarded-prefix", "x-request-id",
)  # fmt: skip
HOSTILE_HEADERS = (
    b"http://[",
    b"[::1",
    b"\xff\xfe",
    b"quintet_session=\xff; a; =",
    b"multipart/form-data",
    b',;="',
    b"",
)

_ATTEMPTS = 250
_FORM = {"content-type": "application/x-www-form-urlencoded"}
_ENDLESS = {("GET", "/v1/payments/stream"), ("HEAD", "/v1/payments/stream")}
_UNAVAILABLE = 503  # the home of these tests runs no stream and has no scoring model


def _fails(client: TestClient, method: str, path: str, **options: Any) -> str | None:
    answer = client.request(method, path, follow_redirects=False, **options)
    if answer.status_code >= 500 and answer.status_code != _UNAVAILABLE:
        return f"{method} {path[:80]} {str(options)[:120]}: {answer.status_code}"
    return None


def _as_text(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")


@pytest.fixture(scope="module")
def guarded(app: FastAPI) -> list[tuple[str, str]]:
    """Return every route that can be requested without waiting for ever."""
    return [route for route in routes(app) if route not in _ENDLESS and route not in OPEN]


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_paths_are_answered(client: TestClient, guarded: list[tuple[str, str]], kind: str) -> None:
    value = quote(_as_text(HOSTILE[kind]), safe="") or "%20"
    named = [(method, path) for method, path in guarded if "{" in path]
    assert named
    found = [_fails(client, method, path.format_map(dict.fromkeys(PARAMETERS, value))) for method, path in named]
    assert [failure for failure in found if failure] == []


def test_the_names_of_parameters_and_fields_are_found(app: FastAPI) -> None:
    assert {"year_from", "page_token", "since", "submitted_at", "minutes", "next_page", "verdict", "window"} <= names(
        app
    )


def test_hostile_parameters_are_answered(client: TestClient, app: FastAPI, guarded: list[tuple[str, str]]) -> None:
    read = [route for route in guarded if route[0] == "GET"]
    cases = list(itertools.product(read, sorted(names(app)), HOSTILE.values()))
    chosen = random.Random(1).sample(cases, _ATTEMPTS)
    found = [
        _fails(client, method, path.format_map(PARAMETERS), params=urlencode({name: _as_text(value)}))
        for (method, path), name, value in chosen
    ]
    assert [failure for failure in found if failure] == []


def test_hostile_headers_are_answered(client: TestClient, guarded: list[tuple[str, str]]) -> None:
    with_sign_in = [*guarded, ("POST", "/sign-in"), ("POST", "/sign-out"), ("GET", "/sign-in")]
    cases = list(itertools.product(with_sign_in, HEADERS, HOSTILE_HEADERS))
    others = [(b"cookie", b"quintet_session=x")]
    found = [
        _fails(client, method, path.format_map(PARAMETERS), headers=[*others, (name.encode(), value)])
        for (method, path), name, value in random.Random(2).sample(cases, _ATTEMPTS)
    ]
    assert [failure for failure in found if failure] == []


def test_an_origin_that_is_no_address_is_of_another_site(client: TestClient) -> None:
    for origin in ("http://[", "null", "", "http://"):
        assert client.post("/sign-out", headers={"origin": origin}).status_code == 403, origin


def test_hostile_documents_are_answered(client: TestClient, app: FastAPI, guarded: list[tuple[str, str]]) -> None:
    posts = [route for route in guarded if route[0] == "POST" and route[1].startswith("/v1/")]
    values = [*HOSTILE.values(), 10**400, -1, 1e308, [], {}, None, True, [[]] * 200, "\ud800"]
    known = names(app)
    shapes = (lambda fields: fields, lambda fields: [fields], lambda fields: {"items": [fields] * 3})
    found = []
    for (method, path), value, shape in random.Random(3).sample(list(itertools.product(posts, values, shapes)), 150):
        text = json.dumps(shape(dict.fromkeys(known, value))).encode()
        found.append(_fails(client, method, path.format_map(PARAMETERS), content=text))
    assert [failure for failure in found if failure] == []


def test_hostile_forms_are_answered(client: TestClient, app: FastAPI, guarded: list[tuple[str, str]]) -> None:
    posts = [route for route in guarded if route[0] == "POST"]
    cases, known = list(itertools.product(posts, HOSTILE.values())), names(app)
    found = []
    for (method, path), value in cases:
        form = urlencode({name: _as_text(value) for name in known} | {"verdict": b"abuser"})
        found.append(_fails(client, method, path.format_map(PARAMETERS), content=form, headers=_FORM))
        found.append(_fails(client, method, path.format_map(PARAMETERS), files={"minutes": ("x", _as_text(value))}))
        found.append(_fails(client, method, path.format_map(PARAMETERS), content=_as_text(value)))
    assert [failure for failure in found if failure] == []


@pytest.mark.parametrize("minutes", ["9" * 5_000, "²", "-60", "60.0", "1e2", ""])
def test_a_silence_of_impossible_minutes_is_refused(client: TestClient, minutes: str) -> None:
    answer = client.post("/payments/silences", data={"series": "denied", "minutes": minutes})
    assert (answer.status_code, "choose one of" in answer.text) == (422, True)


@pytest.mark.parametrize("silence_id", ["9" * 5_000, str(2**63), "-1", "x"])
def test_a_silence_with_an_impossible_id_is_refused(client: TestClient, silence_id: str) -> None:
    assert client.post(f"/payments/silences/{silence_id}/end").status_code == 422


def test_a_label_with_control_characters_is_refused_with_the_field(client: TestClient) -> None:
    answer = client.post("/promotions/labels", data={"user_id": "a\x00b", "verdict": "abuser"})
    assert (answer.status_code, "form.user_id" in answer.text) == (422, True)


@pytest.mark.parametrize("length", ["9" * 5_000, "-1", "x"])
def test_a_length_that_is_no_number_is_refused(client: TestClient, length: str) -> None:
    answer = client.post("/v1/payments/transactions", content=b"[]", headers=ADMIN | {"content-length": length})
    assert answer.status_code == 413


def test_a_store_that_cannot_be_written_is_reported(client: TestClient, app: FastAPI, monkeypatch: Any) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(app.state.service.store, "write", refuse)
    answer = client.post("/sign-in", data={"key": ADMIN["authorization"].removeprefix("Bearer ")})
    assert (answer.status_code, "read-only" in answer.text) == (503, True)
