"""Scheduled reports over HTTP: scheduled, listed and ended by who may; what cannot be sent is refused by its field."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from quintet.state.binding import Binding
from quintet.state.keys import create_key
from tests.web.service import ADMIN, build_app

PATH = "/v1/insurance/report-schedules"
GIVEN = {
    "filters": {"state": ["OH"], "year_from": 2010},
    "recipient": "ana@example.org",
    "every": "month",
    "day": 31,
    "at": "07:30",
    "zone": "Europe/Berlin",
}


@pytest.fixture(scope="module")
def client(built_home: Path, drawing_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service with a mail server that nothing listens on: no report is due while the tests run."""
    home = tmp_path_factory.mktemp("schedules")
    (home / "serving").symlink_to(built_home / "serving")
    (home / "cache").symlink_to(drawing_cache)
    with TestClient(build_app(home, QUINTET_SMTP_URL="smtp://127.0.0.1:1"), headers=ADMIN) as client:
        yield client


def _key(client: TestClient, scopes: list[str], agency: str = "") -> dict[str, str]:
    store = client.app.state.service.store  # type: ignore[attr-defined]
    binding = Binding.of({"agency": [agency]}) if agency else None
    _, text = create_key(store, f"key of {agency}", scopes, dt.datetime.now(dt.UTC), os.urandom, binding)
    return {"authorization": f"Bearer {text}"}


def test_a_report_is_scheduled_listed_and_ended(client: TestClient) -> None:
    made = client.post(PATH, json=GIVEN)
    assert made.status_code == 200, made.text
    row = made.json()
    assert row["when"] == "each month on day 31 at 07:30 Europe/Berlin"
    assert row["filters"] == {"state": ["OH"], "year_from": 2010}
    assert row in client.get(PATH).json()["items"]
    for _ in range(2):
        ended = client.post(f"{PATH}/{row['schedule_id']}/end")
        assert (ended.status_code, ended.json()["ended_because"]) == (200, "ended by QUINTET_ADMIN_KEY")
    assert row not in client.get(PATH).json()["items"]
    actions = [entry for (entry,) in _store(client).read().execute("select action from audit")]
    assert {"reports.schedule", "reports.end"} <= {*actions}


def _store(client: TestClient) -> Any:
    return client.app.state.service.store  # type: ignore[attr-defined]


def test_a_bound_key_sees_and_ends_its_own_alone(client: TestClient) -> None:
    scopes = ["insurance:read", "insurance:schedule"]
    one, other = _key(client, scopes, "402"), _key(client, scopes, "402")
    row = client.post(PATH, json=GIVEN, headers=one).json()
    assert client.get(PATH, headers=one).json()["items"] == [row]
    assert client.get(PATH, headers=other).json()["items"] == []
    assert client.post(f"{PATH}/{row['schedule_id']}/end", headers=other).status_code == 404
    review = {**GIVEN, "filters": {}, "report": "insurance_review", "format": "pdf"}
    refused = client.post(PATH, json=review, headers=one)
    assert (refused.status_code, "whole book" in refused.json()["detail"]) == (403, True)
    assert client.post(PATH, json=review).status_code == 200
    assert client.post(f"{PATH}/{row['schedule_id']}/end", headers=one).status_code == 200


def test_a_key_needs_both_scopes(client: TestClient) -> None:
    for scopes in (["insurance:read"], ["insurance:schedule"]):
        assert client.post(PATH, json=GIVEN, headers=_key(client, scopes)).status_code == 403


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"recipient": "ana@example.org\r\nBcc: all@example.org"}, "recipient"),
        ({"report": "unknown"}, "report"),
        ({"format": "pdf"}, "format"),
        ({"day": 32}, "day"),
        ({"every": "week", "day": 8}, "day"),
        ({"at": "25:00"}, "at"),
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"as_link": True}, "as_link"),
        ({"filters": {"year_from": 2012, "year_to": 2010}}, "year_from"),
        ({"filters": {"month": 3}}, "month"),
        ({"filters": {"agency": ["x"]}}, "agency"),
        ({"filters": [None, None]}, "filters"),
        ({"filters": "state"}, "filters"),
        ({"filters": {"primary_agency": [False]}}, "primary_agency"),
        ({"as_link": 0}, "as_link"),
        ({"day": True}, "day"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_its_field(client: TestClient, changed: dict[str, Any], field: str) -> None:
    answer = client.post(PATH, json={**GIVEN, **changed})
    assert answer.status_code == 422
    assert field in answer.text


def test_an_unknown_schedule_is_not_found(client: TestClient) -> None:
    assert client.post(f"{PATH}/9999/end").status_code == 404


def test_without_a_mail_server_it_says_what_to_set(app: Any) -> None:
    answer = TestClient(app, headers=ADMIN).post(PATH, json=GIVEN)
    assert (answer.status_code, "QUINTET_SMTP_URL" in answer.json()["detail"]) == (409, True)


def test_a_report_is_scheduled_and_ended_on_the_page(client: TestClient) -> None:
    form = {"recipient": "page@example.org", "format": "csv", "every": "week", "day": "5", "at": "07:00", "zone": "UTC"}
    answer = client.post("/reports/schedules?state=OH&year_from=2010", data=form, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].startswith("/reports?state=OH")
    page = client.get("/reports").text
    assert "to page@example.org, each week on Friday at 07:00 UTC" in page
    assert "state OH; year_from 2010" in page
    number = max(row["schedule_id"] for row in client.get(PATH).json()["items"])
    assert client.post(f"/reports/schedules/{number}/end", follow_redirects=False).status_code == 303
    assert "page@example.org" not in client.get("/reports").text


@pytest.mark.parametrize("changed", [{"recipient": "a\nb@c"}, {"every": "year"}, {"day": "x"}, {"zone": "nowhere"}])
def test_the_page_names_the_field_that_is_wrong(client: TestClient, changed: dict[str, str]) -> None:
    form = {"recipient": "page@example.org", "format": "csv", "every": "week", "day": "5", "at": "07:00", "zone": "UTC"}
    answer = client.post("/reports/schedules", data=form | changed)
    assert (answer.status_code, next(iter(changed)) in answer.text) == (422, True)
