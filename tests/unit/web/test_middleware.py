"""Middleware for every request: ids, limits of bodies, and uncaught exceptions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from quintet.web import middleware, problems
from quintet.web.middleware import BodyLimitMiddleware, Metrics
from quintet.web.problems import MEDIA_TYPE, ProblemError


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def client(metrics: Metrics) -> Iterator[TestClient]:
    app = FastAPI()

    @app.get("/things/{number}")
    def thing(number: int) -> int:
        return number

    @app.post("/echo")
    async def echo(request: Request) -> int:
        return len(await request.body())

    @app.get("/fault")
    def fault() -> None:
        raise ZeroDivisionError("a secret of the inside")

    @app.get("/refused")
    def refused() -> None:
        raise ProblemError(422, "swap the years", {"x-why": "order"})

    middleware.install(app, metrics, most_bytes=1_000, longest_seconds=5)
    problems.install(app, lambda *_: None)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_every_answer_has_its_own_id(client: TestClient) -> None:
    ids = {client.get("/things/1").headers["x-request-id"] for _ in range(3)}

    assert len(ids) == 3


@pytest.mark.parametrize(
    ("given", "is_kept"), [("order-12345678", True), ("short", False), ("a\tb injected log", False)]
)
def test_a_well_formed_id_of_the_client_is_kept(client: TestClient, given: str, is_kept: bool) -> None:
    answer = client.get("/things/1", headers={"x-request-id": given})

    assert (answer.headers["x-request-id"] == given) is is_kept


def test_the_log_has_a_line_with_the_id_and_the_status(client: TestClient) -> None:
    with structlog.testing.capture_logs() as lines:
        answer = client.get("/things/x")

    (line,) = [line for line in lines if line["event"] == "request"]
    assert (line["request_id"], line["status"], line["path"]) == (answer.headers["x-request-id"], 422, "/things/x")


def test_metrics_count_by_the_routes_template(client: TestClient, metrics: Metrics) -> None:
    for number in range(3):
        client.get(f"/things/{number}")

    labels = {"method": "GET", "route": "/things/{number}", "status": "200"}
    assert metrics.registry.get_sample_value("quintet_request_seconds_count", labels) == 3


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/refused", 422, "swap the years"),
        ("/nowhere", 404, "Not Found"),
        ("/things/x", 422, "path.number: Input should be a valid integer"),
        ("/fault", 500, "an internal error"),
    ],
)
def test_every_error_is_a_problem_with_the_requests_id(client: TestClient, path: str, status: int, detail: str) -> None:
    answer = client.get(path)
    problem = answer.json()

    assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA_TYPE)
    assert problem["status"] == status
    assert problem["instance"] == path
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert detail in problem["detail"]
    assert "secret of the inside" not in answer.text


def test_a_problem_keeps_its_headers(client: TestClient) -> None:
    assert client.get("/refused").headers["x-why"] == "order"


def test_a_body_up_to_the_limit_arrives_completely(client: TestClient) -> None:
    assert client.post("/echo", content=b"x" * 1_000).json() == 1_000


@pytest.mark.parametrize("declared", [True, False])
def test_a_larger_body_is_refused(client: TestClient, declared: bool) -> None:
    body = b"x" * 1_001 if declared else (b"x" * 100 for _ in range(11))
    answer = client.post("/echo", content=body)

    assert (answer.status_code, answer.headers["content-type"]) == (413, MEDIA_TYPE)
    assert "larger than 1,000 bytes" in answer.json()["detail"]


def answer_of(middleware: BodyLimitMiddleware, receive: Any, **headers: str) -> tuple[int, Any]:
    """Return the status and problem that the middleware itself answers a POST with."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/echo",
        "query_string": b"",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "server": ("localhost", 80),
        "scheme": "http",
    }
    asyncio.run(middleware(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_a_declared_body_of_100_mb_is_refused_before_it_is_read() -> None:
    async def never() -> Any:
        raise AssertionError("the body was read")

    limited = BodyLimitMiddleware(lambda *_: None, 1_000, 5)  # type: ignore[arg-type,return-value]
    assert answer_of(limited, never, content_length="100000000")[0] == 413


def test_a_slow_body_is_given_up() -> None:
    async def slow() -> Any:
        await asyncio.sleep(5)

    limited = BodyLimitMiddleware(lambda *_: None, 1_000, 0.05)  # type: ignore[arg-type,return-value]
    status, problem = answer_of(limited, slow)
    assert status == 408
    assert problem["detail"] == "the body took longer than 0.05 s to arrive"


def test_answers_carry_the_security_headers(client: TestClient) -> None:
    headers = client.get("/things/1").headers

    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
