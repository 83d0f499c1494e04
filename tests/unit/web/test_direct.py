"""Direct routes: guarded like other routes, and refused without a guard."""

from __future__ import annotations

import pytest
from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel
from starlette.responses import Response
from starlette.testclient import TestClient

from quintet.web import problems
from quintet.web.direct import DirectRoute
from quintet.web.security import guarded_router


class Given(BaseModel):
    number: int


async def echo(request: Request, given: Given) -> Response:
    return Response(f"{request.state.key}: {given.number}")


def test_a_route_without_a_key_is_refused():
    with pytest.raises(TypeError, match="is guarded"):
        APIRouter(route_class=DirectRoute).post("/echo")(echo)


def test_a_route_with_another_signature_is_refused():
    async def other(request: Request, number: int) -> Response:
        return Response(f"{request.method} {number}")

    with pytest.raises(TypeError, match="takes request and given"):
        guarded_router("a:read", route_class=DirectRoute).post("/other")(other)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> TestClient:
    async def requires(_: object, request: Request) -> None:
        request.state.key = request.headers.get("key")
        if request.state.key is None:
            raise problems.ProblemError(401, "no key")

    monkeypatch.setattr("quintet.web.security.Requires.__call__", requires)
    router = guarded_router("a:read", route_class=DirectRoute)
    router.post("/echo")(echo)
    app = FastAPI()
    app.include_router(router)
    problems.install(app, lambda *_: None)
    return TestClient(app)


def test_the_key_is_checked_before_the_body_is_read(client: TestClient):
    assert client.post("/echo", content="{").status_code == 401
    assert client.post("/echo", content='{"number": 3}', headers={"key": "k"}).text == "k: 3"


@pytest.mark.parametrize(
    ("body", "where"), [("{", "body"), ("", "body"), ("{}", "body.number"), ('{"number": "x"}', "body.number")]
)
def test_an_invalid_body_is_refused_with_the_place(client: TestClient, body: str, where: str):
    answer = client.post("/echo", content=body, headers={"key": "k"})

    assert answer.status_code == 422
    assert [fault["where"] for fault in answer.json()["errors"]] == [where]


def test_the_openapi_document_has_the_route_like_any_other(client: TestClient):
    operation = client.get("/openapi.json").json()["paths"]["/echo"]["post"]

    assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("Given")
    assert operation["security"] == [{"HTTPBearer": []}]
