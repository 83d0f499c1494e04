"""The reports that a run wrote: listed and downloaded by those who may read their business."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from quintet.domains import DOMAINS
from quintet.state.keys import create_key
from tests.web.service import ADMIN, build_app

FILES = {f"{one.name}.pdf": domain.name for domain in DOMAINS for one in domain.reports}


@pytest.fixture(scope="module")
def client(built_home: Path, drawing_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service over the snapshot and the reports of the samples."""
    home = tmp_path_factory.mktemp("reports")
    for name in ("serving", "reports"):
        (home / name).symlink_to(built_home / name)
    (home / "cache").symlink_to(drawing_cache)
    with TestClient(build_app(home), headers=ADMIN) as client:
        yield client


def test_every_declared_report_is_listed_and_is_a_pdf(client: TestClient) -> None:
    page = client.get("/reports").text
    for name in FILES:
        assert f"/reports/files/{name}" in page
        answer = client.get(f"/reports/files/{name}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf"), name
        assert answer.content.startswith(b"%PDF")


def test_a_key_gets_the_reports_of_its_businesses_alone(client: TestClient) -> None:
    store = client.app.state.service.store  # type: ignore[attr-defined]
    _, text = create_key(store, "a reader", ("insurance:read",), dt.datetime.now(dt.UTC), bytes)
    headers = ADMIN | {"authorization": f"Bearer {text}"}
    page = client.get("/reports", headers=headers).text
    assert {name for name in FILES if name in page} == {name for name, of in FILES.items() if of == "insurance"}
    answers = {name: client.get(f"/reports/files/{name}", headers=headers).status_code for name in FILES}
    assert answers == {name: 200 if of == "insurance" else 403 for name, of in FILES.items()}


def test_a_file_that_is_no_report_is_not_found(client: TestClient) -> None:
    for name in ("x.pdf", "premium_all_years.xlsx", "..%2Fwarehouse.duckdb"):
        assert client.get(f"/reports/files/{name}").status_code == 404
