"""Files as cases over HTTP: what can be mapped, by a program and by the form, and what a verdict refuses."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from fastapi.testclient import TestClient

from quintet.cases.file_mappings import active
from quintet.ingest.inbox import list_inbox
from quintet.ingest.load import load_files
from quintet.ingest.raw_tables import prepare
from quintet.payments.contract import TRANSACTIONS
from quintet.warehouse.database import open_warehouse
from tests.web.service import ADMIN, build_app, open_cases

AT = dt.datetime(2026, 3, 4, 12)
FILE = "time,state<b>,n\n10h 00,approved,7\n10h 01,denied,1\n"


@pytest.fixture
def client(own_home: Path) -> Iterator[TestClient]:
    """A service of a snapshot in which one file of transactions could not be read."""
    inbox = own_home / "raw" / "transactions"
    inbox.mkdir(parents=True)
    (inbox / "day_2024-01-01.csv").write_text(FILE)
    serving = own_home / "serving"
    serving.mkdir()
    with open_warehouse(
        own_home / "warehouse.duckdb", memory_limit="500MB", threads=1, lock_wait_seconds=0
    ) as connection:
        prepare(connection, [TRANSACTIONS])
        load_files(connection, TRANSACTIONS, list_inbox(own_home / "raw", "transactions"), AT, lambda _: None)
        tables = {name: connection.sql(f"from ops.{name}").to_arrow_table() for name in TABLES}
    with duckdb.connect(str(serving / "1.duckdb")) as snapshot:
        snapshot.execute(
            "create schema marts; create table marts.snapshot as "
            "select 'one' as snapshot_id, timestamp '2026-03-04' as published_at, 'tests' as fingerprint"
        )
        for name, table in tables.items():
            snapshot.register("given", table)
            snapshot.execute(f"create table marts.ops_{name} as select *, {MADE} from given")
    (serving / "current.duckdb").symlink_to("1.duckdb")
    app = build_app(own_home)
    with TestClient(app, headers=ADMIN, raise_server_exceptions=False) as client:
        open_cases(app)
        yield client


TABLES = ("batches", "unread_files", "rejected_rows")
MADE = "timestamp '2026-03-04' as \"at\""


def case(client: TestClient) -> dict[str, Any]:
    (found,) = client.get("/v1/cases?domain=payments&kind=file").json()["items"]
    whole: dict[str, Any] = client.get(f"/v1/cases/{found['case_id']}").json()
    return whole


def decide(client: TestClient, **given: Any) -> Any:
    found = case(client)
    return client.post(f"/v1/cases/{found['case_id']}/decide", json={"version": found["version"], **given})


def test_a_program_finds_what_can_be_mapped_and_maps_it_once(client: TestClient) -> None:
    found = case(client)
    assert found["title"] == "day_2024-01-01.csv of transactions was not loaded"
    assert {one["key"]: one["suggested"] for one in found["choices"] if one["group"]} == {
        "status": "state<b>", "count": "n",
    }  # fmt: skip
    path = f"/v1/cases/{found['case_id']}/decide"
    given = {"version": found["version"], "verdict": "map", "choices": {"status": "state<b>", "count": "n"}}
    for _ in range(2):
        answer = client.post(path, json=given, headers={"Idempotency-Key": "once"})
        assert answer.status_code == 200, answer.text
    store = client.app.state.service.store  # type: ignore[attr-defined]
    (columns,) = active(store)["transactions"].columns.values()
    assert columns == {"state_b": "status", "n": "count"}


def test_a_request_that_is_sent_again_after_its_build_is_done(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"version": 1, "verdict": "map", "choices": {"status": "state<b>", "count": "n"}}
    path = f"/v1/cases/{case(client)['case_id']}/decide"
    assert client.post(path, json=given, headers={"Idempotency-Key": "once"}).status_code == 200
    monkeypatch.setattr("quintet.web.routes.cases.choices_of", lambda *_: ())  # the file is loaded now

    assert client.post(path, json=given, headers={"Idempotency-Key": "once"}).status_code == 200
    assert client.post(path, json=given, headers={"Idempotency-Key": "another"}).status_code == 422


UNFIT: tuple[tuple[dict[str, Any], str], ...] = (
    ({"verdict": "map"}, "needs choices"),
    ({"verdict": "map", "choices": {"count": "n"}}, "nothing for status"),
    ({"verdict": "map", "choices": {"count": "n", "status": "n"}}, "more than once"),
    ({"verdict": "map", "choices": {"count": "no such title", "status": "n"}}, "it must be one of"),
    ({"verdict": "map", "choices": {"no_column": "n"}}, "cannot be chosen here"),
    ({"verdict": "close"}, "needs a reason"),
    ({"verdict": "close", "reason": "no use", "choices": {"count": "n"}}, "takes no choices"),
)


def test_a_verdict_that_does_not_fit_is_refused_and_changes_nothing(client: TestClient) -> None:
    for given, problem in UNFIT:
        answer = decide(client, **given)

        assert (answer.status_code, problem in answer.json()["detail"]) == (422, True), answer.text
        assert case(client)["state"] == "open"


def test_the_page_shows_header_and_rows_and_its_form_maps_them(client: TestClient) -> None:
    found = case(client)
    page = client.get(f"/cases/{found['case_id']}").text
    assert "state&lt;b&gt;" in page
    assert "10h 00" in page
    assert "<b>," not in page
    assert '<option value="state&lt;b&gt;" selected>' in page, (
        "a browser posts the text of an option without its blanks"
    )
    fields = [(one["key"], one["suggested"]) for one in found["choices"]]
    form = {
        "cases": f"{found['case_id']}:{found['version']}",
        "verdict": "map",
        "key": [key for key, _ in fields],
        "value": [value for _, value in fields],
        "reason": "the new partner",
    }
    headers = {"origin": "http://testserver"}
    answer = client.post("/cases/decide", data=form, headers=headers, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    assert case_of(client, found["case_id"])["reason"].endswith("the new partner")
    page = client.get(f"/cases/{found['case_id']}").text
    assert "Leave out" in page


def case_of(client: TestClient, case_id: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/v1/cases/{case_id}").json()
    return found


def test_leaving_the_file_out_by_the_form_ignores_the_choices_beside_it(client: TestClient) -> None:
    found = case(client)
    form = {
        "cases": f"{found['case_id']}:{found['version']}",
        "verdict": "close",
        "key": ["count"],
        "value": ["n"],
        "reason": "a test file",
    }
    answer = client.post("/cases/decide", data=form, headers={"origin": "http://testserver"}, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    assert case_of(client, found["case_id"])["verdict"] == "close"
