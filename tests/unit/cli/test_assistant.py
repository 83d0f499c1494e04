"""The tools of `quintet mcp`: which routes they are, their arguments, and faults of key and service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from cli.assistant import AssistantError, build_server, read_key, request_of, routes_of
from quintet.settings import load_settings
from quintet.web.app import create_app
from quintet.web.routes.docs import document


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    app = create_app(load_settings({"QUINTET_HOME": str(tmp_path_factory.mktemp("home"))}), "tests")
    app.state.service.store.close()
    return document(app)


def test_every_route_that_reads_json_is_a_tool_and_no_other(described: dict[str, Any]) -> None:
    routes = {route.path: route for route in routes_of(described)}
    answers = {path: item["get"]["responses"]["200"] for path, item in described["paths"].items() if "get" in item}
    reading = {
        path
        for path, answer in answers.items()
        if path.startswith("/v1/") and "application/json" in answer.get("content", {})
    }
    assert routes.keys() == reading
    assert {"/v1/insurance/summary", "/v1/conversions/funnel", "/v1/lending/clients/{client_id}/features"} <= reading
    assert not reading & {"/v1/payments/stream", "/v1/promotions/abuse-score", "/metrics"}
    assert [route.name for route in routes.values() if not route.description] == []


def test_the_arguments_of_a_tool_are_the_parameters_of_its_route(described: dict[str, Any]) -> None:
    routes = {route.name: route for route in routes_of(described)}
    schema = routes["lending_clients_features"].schema
    assert schema["required"] == ["client_id"]
    assert schema["properties"]["client_id"]["minimum"] == 0
    assert "$ref" not in json.dumps([route.schema for route in routes.values()])


def test_a_call_becomes_path_and_query_and_a_wrong_one_names_the_argument(described: dict[str, Any]) -> None:
    routes = {route.name: route for route in routes_of(described)}
    features = routes["lending_clients_features"]
    assert request_of(features, {"client_id": "7/../8", "as_of": "2026-01-01"}) == (
        "/v1/lending/clients/7%2F..%2F8/features",
        {"as_of": "2026-01-01"},
    )
    with pytest.raises(AssistantError, match="client_id is missing"):
        request_of(features, {})
    with pytest.raises(AssistantError, match="there is no argument client"):
        request_of(features, {"client_id": 1, "client": 1})


def test_two_routes_of_one_name_are_refused(described: dict[str, Any]) -> None:
    twice = {
        **described,
        "paths": {**described["paths"], "/v1/insurance/{x}/summary": described["paths"]["/v1/insurance/summary"]},
    }
    with pytest.raises(AssistantError, match="insurance_summary"):
        routes_of(twice)


@pytest.mark.parametrize("content", [b"", b"  \n", b"key\nof two lines", "schlüssel".encode(), b"\xff"])
def test_a_file_without_a_key_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(AssistantError, match="key file"):
        read_key(file)


def test_a_service_that_does_not_answer_or_is_none_is_an_error_that_says_so() -> None:
    async def build(status: int) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            if status == 0:
                raise httpx.ConnectError("refused", request=request)
            return httpx.Response(status, text="hello")

        async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://me:secret@x") as client:
            await build_server(client)

    with pytest.raises(AssistantError, match="does not answer") as fault:
        anyio.run(build, 0)
    assert "secret" not in str(fault.value)
    with pytest.raises(AssistantError, match="no answer of a Quintet service"):
        anyio.run(build, 404)
