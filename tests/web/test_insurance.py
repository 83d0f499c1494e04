"""Insurance over HTTP: answers match the query, and an invalid query says why."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from fastapi.testclient import TestClient

from quintet.warehouse.snapshot import open_snapshot
from quintet.web.snapshots import TookTooLongError
from tests.web.service import ADMIN, build_app, items

SUMMARY = "/v1/insurance/summary"
DETAIL = "/v1/insurance/performance"


def test_every_answer_names_its_snapshot(client: TestClient) -> None:
    snapshot = client.get("/readyz").json()["snapshot"]

    for path in (SUMMARY, DETAIL):
        assert client.get(path).json()["snapshot"] == snapshot


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_pages_of_any_size_make_up_the_same_list(client: TestClient, size: int) -> None:
    whole = items(client, SUMMARY, group_by="agency,prod_line", page_size=1_000)

    assert items(client, SUMMARY, group_by="agency,prod_line", page_size=size) == whole
    assert len({(item["agency_id"], item["prod_line"]) for item in whole}) == len(whole) > 7


def test_the_detail_equals_the_fact_table(client: TestClient, built_home: Path) -> None:
    detail = items(client, DETAIL, page_size=1_000)
    with open_snapshot((built_home / "serving" / "current.duckdb").resolve()) as snapshot:
        (rows, premium) = snapshot.execute(
            "select count(*), sum(written_premium) from marts.fct_agency_performance"
        ).fetchone() or (0, 0)

    assert len(detail) == rows
    assert sum(round(100 * (row["written_premium"] or 0)) for row in detail) == round(100 * premium)


def test_every_combination_of_pivots_has_the_same_total(client: TestClient) -> None:
    pivots = ("agency", "primary_agency", "product", "prod_line", "state", "vendor", "year")
    ((total,),) = [[item["written_premium"] for item in items(client, SUMMARY)]]
    for size in (1, 2):
        for group_by in itertools.combinations(pivots, size):
            groups = items(client, SUMMARY, group_by=",".join(group_by), page_size=1_000)
            cents = sum(round(100 * (group["written_premium"] or 0)) for group in groups)
            assert cents == round(100 * total), group_by


def test_filters_may_be_repeated_or_separated_by_commas(client: TestClient) -> None:
    states = [item["state_abbr"] for item in items(client, SUMMARY, group_by="state")][:2]
    repeated = client.get(SUMMARY, params={"group_by": ["state", "year"], "state": states}).json()["items"]
    separated = client.get(SUMMARY, params={"group_by": "state,year", "state": ",".join(states)}).json()["items"]

    assert repeated == separated
    assert {item["state_abbr"] for item in repeated} == set(states)


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("group_by=colour", "there is no pivot 'colour'; there are agency, primary_agency"),
        ("year_from=2014&year_to=2010", "2014 is after year_to 2010; swap the two"),
        ("year_from=99999", "less than or equal to 2100"),
        ("month=3", "the data is yearly; use year_from and year_to"),
        ("agency=" + ",".join(map(str, range(2_000))), "at most 200 items"),
        ("agency=1 or 1=1", "valid integer"),
        ("colour=red", "Extra inputs are not permitted"),
        ("page_size=0", "greater than or equal to 1"),
        ("page_size=1001", "less than or equal to 1000"),
        ("page_token=made-up", "page_token does not belong to this query"),
        ("state=", "at least 1 character"),
        ("group_by=year,year", "is repeated"),
    ],
)
def test_an_invalid_query_says_why(client: TestClient, query: str, detail: str) -> None:
    answer = client.get(f"{SUMMARY}?{query}")

    assert answer.status_code == 422
    assert detail in answer.json()["detail"]


@pytest.mark.parametrize("text", ["OH'; drop table marts.dim_state; --", "' or '1'='1", "%", "*"])
def test_sql_in_a_filter_is_a_value_like_any_other(client: TestClient, text: str) -> None:
    answer = client.get(SUMMARY, params={"state": text, "group_by": "state"})

    assert (answer.status_code, answer.json()["items"]) == (200, [])
    assert client.get(SUMMARY, params={"group_by": "state"}).json()["items"] != []


def test_a_token_of_another_query_is_refused(client: TestClient) -> None:
    token = client.get(SUMMARY, params={"group_by": "state", "page_size": 1}).json()["next_page_token"]
    for other in ({"group_by": "year"}, {"group_by": "state", "year_from": 2010}):
        answer = client.get(SUMMARY, params=other | {"page_token": token})
        assert answer.status_code == 422
        assert "does not belong to this query" in answer.json()["detail"]


def test_a_client_with_the_answer_gets_304(client: TestClient) -> None:
    first = client.get(SUMMARY, params={"group_by": "year"})
    again = client.get(SUMMARY, params={"group_by": "year"}, headers={"if-none-match": first.headers["etag"]})
    other = client.get(SUMMARY, params={"group_by": "state"}, headers={"if-none-match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert other.status_code == 200


def test_the_order_of_pivots_is_the_order_of_the_answer(client: TestClient) -> None:
    orders = (["year", "prod_line"], ["prod_line", "year"])
    pages = [client.get(SUMMARY, params={"group_by": order, "page_size": 3}) for order in orders]
    again = client.get(SUMMARY, params={"group_by": orders[1]}, headers={"if-none-match": pages[0].headers["etag"]})
    wholes = [items(client, SUMMARY, group_by=order, page_size=3) for order in orders]

    assert again.status_code == 200
    for order, whole in zip(orders, wholes, strict=True):
        keys = [tuple(row[name] for name in order) for row in whole]
        assert keys == sorted(keys)
    assert wholes[0] != wholes[1]
    crossed = client.get(
        SUMMARY, params={"group_by": orders[1], "page_size": 3, "page_token": pages[0].json()["next_page_token"]}
    )
    assert crossed.status_code == 422


def test_a_csv_report_is_complete_with_its_length_and_one_snapshot(client: TestClient) -> None:
    answer = client.get(
        "/v1/insurance/reports/premium", params={"format": "csv"}, headers={"accept-encoding": "identity"}
    )

    assert int(answer.headers["content-length"]) == len(answer.content) > 1_000
    assert answer.headers["x-snapshot"] == client.get("/readyz").json()["snapshot"]


def test_a_csv_report_that_takes_too_long_is_a_problem_and_not_in_the_history(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Iterator[bytes]:
        yield b"agency_id\n1\n"
        raise TookTooLongError("the query took longer than 10 s")

    before = client.get("/reports").text.count("everything")
    monkeypatch.setattr("quintet.web.routes.insurance.write_csv", broken)
    answer = client.get("/v1/insurance/reports/premium", params={"format": "csv"})

    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert client.get("/reports").text.count("everything") == before


def test_a_part_that_was_not_built_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "serving").mkdir()
    path = tmp_path / "serving" / "run.duckdb"
    with duckdb.connect(str(path)) as snapshot:
        snapshot.execute(
            "create schema marts; create table marts.snapshot as "
            "select 'run' as snapshot_id, 'code' as fingerprint, timestamp '2026-01-01' as published_at"
        )
    path.with_name("current.duckdb").symlink_to(path.name)
    with TestClient(build_app(tmp_path), headers=ADMIN) as client:
        answer = client.get(SUMMARY)

    assert answer.status_code == 503
    assert "has not been built yet: run `make run`" in answer.json()["detail"]


@pytest.mark.real_data
def test_the_real_figures_of_2010_to_2012(real: Any) -> None:
    with TestClient(build_app(real.home), headers=ADMIN) as client:
        lines = items(client, SUMMARY, group_by="prod_line", year_from=2010, year_to=2012)

    figures = {item["prod_line"]: (item["written_premium"], round(item["loss_ratio"], 6)) for item in lines}
    assert figures == {"CL": (17_507_846.70, 0.944463), "PL": (27_303_890.11, 0.555008)}
