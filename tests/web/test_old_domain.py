"""A domain that is old or was never built is shown as such, and the others are served as ever."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from fastapi.testclient import TestClient

from quintet.domains import DOMAINS
from tests.web.service import ADMIN, build_app

WHY = "the build of ml/premium_forecast did not succeed"


@pytest.fixture
def client(built_home: Path, own_home: Path) -> Iterator[TestClient]:
    """A service whose snapshot has an old insurance and no promotions."""
    (own_home / "serving").mkdir()
    current = own_home / "serving" / "current.duckdb"
    shutil.copy(built_home / "serving" / "current.duckdb", current)
    with duckdb.connect(str(current)) as snapshot:
        snapshot.execute(
            "update marts.ops_domains set status = 'old', built_at = '2024-06-01 12:00', problem = ? "
            "where domain = 'insurance'",
            [WHY],
        )
        snapshot.execute("update marts.ops_domains set status = 'missing' where domain = 'promotions'")
        tables = snapshot.execute(
            "select table_type, table_schema || '.' || table_name from information_schema.tables "
            "where regexp_matches(table_name, 'promo_|abuse_') and table_name not like 'ops_%' order by table_type desc"
        ).fetchall()
        for kind, name in tables:
            snapshot.execute(f"drop {'view' if kind == 'VIEW' else 'table'} {name}")
    with TestClient(build_app(own_home), headers=ADMIN, raise_server_exceptions=False) as client:
        yield client


def test_the_overview_says_which_one_is_old_since_when_and_why(client: TestClient) -> None:
    page = client.get("/").text
    assert "insurance is old, built 2024-06-01 12:00 UTC" in page
    assert WHY in page
    assert "promotions is not built yet" in page


def test_the_pages_of_the_old_one_say_so_and_the_others_do_not(client: TestClient) -> None:
    for domain in DOMAINS:
        answer = client.get(domain.page)
        assert answer.status_code == (503 if domain.name == "promotions" else 200), domain.name
        assert (WHY in answer.text) is (domain.name == "insurance"), domain.name


def test_readiness_lists_what_is_behind(client: TestClient) -> None:
    behind = client.get("/readyz").json()["behind"]
    assert behind.keys() == {"insurance", "promotions"}
    assert WHY in behind["insurance"]


def test_a_complete_snapshot_has_nothing_behind(built_home: Path, own_home: Path) -> None:
    (own_home / "serving").symlink_to(built_home / "serving")
    with TestClient(build_app(own_home), headers=ADMIN) as client:
        assert client.get("/readyz").json()["behind"] == {}
        assert "not built yet" not in client.get("/").text
