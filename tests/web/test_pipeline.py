"""The pipeline page: each part with its state, and what is quarantined with how to fix it."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
from fastapi.testclient import TestClient

from quintet.pipeline import add_builds, lineage
from quintet.warehouse.snapshot import open_snapshot
from tests.web.service import ADMIN, build_app

HTML = {"accept": "text/html"}


def test_every_part_is_listed_with_the_rows_of_its_table(client: TestClient, built_home: Path) -> None:
    page = client.get("/pipeline", headers=HTML).text

    assert all(f'data-value="{key}"' in page for key in lineage())
    with open_snapshot((built_home / "serving" / "current.duckdb").resolve()) as snapshot:
        [(agencies,)] = snapshot.execute("select count(*) from marts.dim_agency").fetchall()
    [row] = re.findall(r'<tr>\s*<td[^>]*data-value="marts/dim_agency".*?</tr>', page, flags=re.DOTALL)
    assert f'data-value="{agencies}"' in row
    assert "int_agency_performance_current" in row, "what it is made from"


def test_a_failure_and_a_failed_check_come_first_and_link_to_dagster(built_home: Path, own_home: Path) -> None:
    (own_home / "serving").symlink_to(built_home / "serving")
    add_builds(own_home, {"marts/dim_state": {"failed_at": "2026-11-30T10:00:00+00:00", "failure": "Disk is full"}})
    add_builds(own_home, {"marts/dim_year": {"built_at": "2026-11-30T10:00:00+00:00", "checks": {"is_dense": False}}})
    app = build_app(own_home, QUINTET_DAGSTER_URL="https://quintet.example.org/dagster")
    with TestClient(app, headers=ADMIN | HTML) as client:
        page = client.get("/pipeline?business=insurance&stage=Tables").text
        failed = client.get("/pipeline?state=failed").text

    parts = re.findall(r'data-value="(\w+/\w+)"', page)
    assert parts[:2] == ["marts/dim_state", "marts/dim_year"]
    assert "Disk is full" in page
    assert "0 of 1 passed; failed: is_dense" in page
    assert 'href="https://quintet.example.org/dagster/assets/marts/dim_state"' in page
    assert "marts/dim_year" not in re.findall(r'data-value="(\w+/\w+)"', failed)


def test_quarantined_rows_say_why_and_how_to_fix_them(client: TestClient, built_home: Path) -> None:
    page = client.get("/pipeline", headers=HTML).text

    with open_snapshot((built_home / "serving" / "current.duckdb").resolve()) as snapshot:
        reasons = reasons_of(snapshot)
    assert ("Every row could be used." in page) == (not reasons)
    assert all(dataset in page for dataset in reasons)


def reasons_of(snapshot: duckdb.DuckDBPyConnection) -> list[str]:
    found = snapshot.execute("select distinct dataset from marts.ops_rejected_rows").fetchall()
    return [dataset for (dataset,) in found]


def test_an_unknown_filter_is_reported(client: TestClient) -> None:
    page = client.get("/pipeline?stage=Cellar", headers=HTML)

    assert page.status_code == 200
    assert "is none of Sources, Tables, Models, Reports" in page.text
