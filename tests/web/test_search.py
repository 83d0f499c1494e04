"""Search finds what a key may read, and every hit has a page."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from quintet.state.keys import create_key
from quintet.warehouse.snapshot import open_snapshot

HTML = {"accept": "text/html"}
IDS = {
    "agency": "select min(agency_id)::varchar from marts.dim_agency",
    "user": "select min(user_id) from marts.fct_abuse_scores",
    "cluster": "select min(cluster_id) from marts.agg_abuse_clusters",
    "click": "select min(conversion_id)::varchar from marts.fct_unified_journeys",
    "application": "select min(application_id)::varchar from marts.fct_application_decisions",
    "client": "select min(client_id)::varchar from marts.fct_client_features",
    "incident": "select min(incident_id) from marts.fct_payment_incidents",
}


@pytest.mark.parametrize("kind", IDS)
def test_an_id_finds_its_page(client: TestClient, built_home: Path, kind: str) -> None:
    with open_snapshot((built_home / "serving" / "current.duckdb").resolve()) as snapshot:
        [(wanted,)] = snapshot.execute(IDS[kind]).fetchall()
    answer = client.get("/v1/search", params={"q": wanted}).json()
    pages = [hit["page"] for hit in answer["items"] if (hit["kind"], hit["id"]) == (kind, wanted)]

    assert len(pages) == 1
    page = client.get(pages[0], headers=HTML)
    assert page.status_code == 200
    assert wanted in page.text
    assert pages[0].partition("#")[0] in client.get("/search", params={"q": wanted}, headers=HTML).text


def test_a_table_is_found_by_name(client: TestClient) -> None:
    items = client.get("/v1/search", params={"q": "dim_agency"}).json()["items"]

    assert next(hit["id"] for hit in items if hit["kind"] == "table") == "marts.dim_agency"


def test_a_key_finds_only_what_it_may_read(app: FastAPI, client: TestClient) -> None:
    service = app.state.service
    _, text = create_key(service.store, "search", ["insurance:read"], dt.datetime.now(dt.UTC), os.urandom)
    mine = client.get("/v1/search", params={"q": "1"}, headers={"authorization": f"Bearer {text}"}).json()["items"]
    every = client.get("/v1/search", params={"q": "1"}).json()["items"]

    assert {hit["kind"] for hit in mine} <= {"agency", "table"}
    assert {"application", "client"} <= {hit["kind"] for hit in every}


@pytest.mark.parametrize(
    "query", [{}, {"q": ""}, {"q": "x" * 101}, {"q": "1", "limit": 101}, {"q": "1", "colour": "red"}]
)
def test_an_invalid_query_is_refused(client: TestClient, query: dict[str, str]) -> None:
    assert client.get("/v1/search", params=query).status_code == 422


def test_a_text_that_finds_nothing_says_what_can_be_found(client: TestClient) -> None:
    page = client.get("/search", params={"q": "<b>nobody</b>"}, headers=HTML).text

    assert "Nothing found" in page
    assert "<b>nobody" not in page
