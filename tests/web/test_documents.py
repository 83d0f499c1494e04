"""The documentation's site below `/docs/`, beside the page of the API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from quintet.settings import load_settings
from quintet.web.app import create_app
from tests.web.service import ADMIN, ADMIN_KEY


def _client(home: Path, site: Path) -> TestClient:
    settings = load_settings({"QUINTET_HOME": str(home), "QUINTET_ADMIN_KEY": ADMIN_KEY})
    return TestClient(create_app(settings, code="tests", site=site), headers=ADMIN)


@pytest.fixture
def built(own_home: Path, tmp_path: Path) -> Iterator[TestClient]:
    site = tmp_path / "site"
    (site / "reference" / "api").mkdir(parents=True)
    (site / "index.html").write_text("first page", "utf-8")
    (site / "reference" / "api" / "index.html").write_text("the API", "utf-8")
    (site / "site.css").write_text("p {}", "utf-8")
    (tmp_path / "secret").write_text("secret", "utf-8")
    with _client(own_home, site) as client:
        yield client


def test_pages_and_files_are_served_below_docs_beside_the_page_of_the_api(built: TestClient) -> None:
    assert built.get("/docs/").text == "first page"
    assert built.get("/docs/reference/api/").text == "the API"
    assert built.get("/docs/site.css").headers["content-type"].startswith("text/css")
    assert "swagger" in built.get("/docs").text
    assert "unsafe" not in built.get("/docs/").headers["content-security-policy"]


def test_a_folder_without_its_slash_redirects_because_links_are_relative(built: TestClient) -> None:
    answer = built.get("/docs/reference/api", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/docs/reference/api/")


def test_an_unchanged_page_is_not_sent_again(built: TestClient) -> None:
    tag = built.get("/docs/").headers["etag"]
    assert built.get("/docs/", headers={"if-none-match": tag}).status_code == 304
    assert built.get("/docs/", headers={"if-none-match": '"other"'}).status_code == 200


@pytest.mark.parametrize("path", ["gone/", "..%2fsecret", "%2e%2e/%2e%2e/secret", "reference", "a%00b", "x" * 5_000])
def test_what_the_site_does_not_have_is_not_found(built: TestClient, path: str) -> None:
    answer = built.get(f"/docs/{path}")
    assert answer.status_code == 404
    assert "secret" not in answer.json().get("detail", "").replace("secret'", "")


def test_where_the_site_is_not_built_the_answer_says_how_and_the_menu_does_not_name_it(own_home: Path) -> None:
    with _client(own_home, own_home / "nothing") as client:
        answer = client.get("/docs/")
        menu = client.get("/", headers={"accept": "text/html"}).text
    assert answer.status_code == 404
    assert "make docs" in answer.json()["detail"]
    assert 'href="/docs/"' not in menu


def test_where_the_site_is_built_the_menu_names_it(built: TestClient) -> None:
    assert 'href="/docs/"' in built.get("/", headers={"accept": "text/html"}).text
