"""Health, readiness, metrics and the OpenAPI document."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi.testclient import TestClient

from quintet.web.rendering import static_url
from tests.web.service import ADMIN, build_app


def test_ready_names_the_snapshot_and_its_age(client: TestClient, built_home: Path) -> None:
    ready = client.get("/readyz").json()

    assert ready["snapshot"] == (built_home / "serving" / "current.duckdb").resolve().stem
    assert 0 < ready["age_seconds"] < 86_400


def test_without_a_snapshot_the_service_is_alive_but_not_ready(tmp_path: Path) -> None:
    with TestClient(build_app(tmp_path), headers=ADMIN) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        for path in ("/readyz", "/v1/insurance/summary"):
            answer = client.get(path)
            assert answer.status_code == 503
            assert "run `make run`" in answer.json()["detail"]


def test_metrics_have_the_prometheus_format(client: TestClient) -> None:
    client.get("/v1/insurance/summary")
    answer = client.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain")
    assert 'quintet_request_seconds_count{method="GET",route="/v1/insurance/summary",status="200"}' in answer.text


def test_every_problem_is_declared_with_its_media_type(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    operations = [
        (path, operation)
        for path, item in document["paths"].items()
        for operation in item.values()
        if path.startswith("/v1/")
    ]
    assert operations
    for path, operation in operations:
        problems = {int(status): answer for status, answer in operation["responses"].items() if int(status) >= 400}
        assert {401, 403, 413, 422, 429, 500, 503} <= problems.keys(), path
        assert all(list(answer["content"]) == ["application/problem+json"] for answer in problems.values()), path


def test_the_documentation_requests_nothing_from_other_hosts(client: TestClient) -> None:
    page = client.get("/docs").text
    addresses = re.findall(r'(?:href|src)="([^"]+)"', page)

    assert len(addresses) == 4
    assert all(address.startswith("/static/") for address in addresses)
    assert [client.get(address).status_code for address in addresses] == [200] * 4


def test_a_static_file_is_cacheable_and_gzipped_for_clients_that_accept_it(client: TestClient) -> None:
    address = static_url("vega.js")
    packed = client.get(address, headers={"accept-encoding": "gzip"})
    plain = client.get(address, headers={"accept-encoding": "identity"})

    assert "immutable" in packed.headers["cache-control"]
    assert (packed.headers["content-encoding"], plain.headers.get("content-encoding")) == ("gzip", None)
    assert packed.content == plain.content
    assert client.get(static_url("nothing.js")).status_code == 404
