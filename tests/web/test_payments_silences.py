"""Silences over HTTP and on the page: what they match, when they begin and recur, and what cannot be."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.web.service import ADMIN, build_app

BEGIN = "/v1/payments/silences/begin"
SETTINGS = {"QUINTET_PAYMENTS_DIMENSIONS": "merchant", "QUINTET_PAYMENTS_TIME_ZONE": "Europe/Berlin"}
TOMORROW = (dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).replace(microsecond=0)


@pytest.fixture
def payments(own_home: Path) -> Iterator[TestClient]:
    with TestClient(build_app(own_home, **SETTINGS), headers=ADMIN, raise_server_exceptions=False) as client:
        yield client


def test_a_silence_may_match_values_begin_later_and_recur(payments: TestClient) -> None:
    body = {
        "series": "denied", "severity": "warning", "values": {"merchant": ["Acme", "acme ", "BOLT"]},
        "starts_at": TOMORROW.isoformat(), "minutes": 131_040, "weekly": "mon-fri 22:00-02:00", "comment": "batch",
    }  # fmt: skip
    made = payments.post(BEGIN, json=body)
    assert made.status_code == 200, made.text
    page = payments.get("/payments?day=live", headers={"accept": "text/html"}).text

    assert made.json()["values"] == {"merchant": ["acme", "bolt"]}
    assert (made.json()["time_zone"], made.json()["is_active"]) == ("Europe/Berlin", False)
    assert made.json()["starts_at"] == TOMORROW.isoformat()
    assert payments.get("/v1/payments/silences").json()["items"] == [made.json()]
    assert "denied, warning only, merchant acme or bolt" in page
    assert "not active now: mon-fri 22:00-02:00 (Europe/Berlin) from " in page


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "send either minutes or expires_at"),
        ({"minutes": 5, "expires_at": "2099-01-01T00:00:00Z"}, "send either minutes or expires_at"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "is not after its start"),
        ({"minutes": 50_000}, "at most 30 days"),
        ({"expires_at": "2100-01-01T00:00:00Z", "weekly": "mon 01:00-02:00"}, "366 with windows"),
        ({"minutes": 5, "weekly": "someday 01:00-02:00"}, "no day like mon"),
        ({"minutes": 5, "weekly": "mon closed"}, "no window"),
        ({"minutes": 5, "weekly": "mon 01:00-02:00", "time_zone": "Mars/Base"}, "no time zone"),
        ({"minutes": 5, "values": {"issuer": ["x"]}}, "QUINTET_PAYMENTS_DIMENSIONS names merchant"),
        ({"minutes": 5, "values": {"merchant": ["\x07"]}}, "visible character"),
        ({"minutes": 5, "values": {"merchant": []}}, "values"),
        ({"minutes": 5, "severity": "mild"}, "severity"),
    ],
)
def test_a_silence_that_cannot_be_is_refused_with_the_reason(
    payments: TestClient, body: dict[str, Any], words: str
) -> None:
    answer = payments.post(BEGIN, json=body)

    assert answer.status_code == 422
    assert words in answer.text
    assert payments.get("/v1/payments/silences").json()["items"] == []


def test_the_page_makes_a_weekly_silence_of_a_value(payments: TestClient) -> None:
    form = {"minutes": "131040", "weekly": "sun 02:00-04:00", "dimension": "merchant", "values": "Acme, <b>Bolt</b>"}
    assert payments.post("/payments/silences", data=form).status_code == 200
    (made,) = payments.get("/v1/payments/silences").json()["items"]
    page = payments.get("/payments?day=live", headers={"accept": "text/html"}).text
    half = payments.post("/payments/silences", data={"minutes": "60", "dimension": "merchant"})
    long = payments.post("/payments/silences", data={"minutes": "131040"})

    assert (made["values"], made["weekly"]) == ({"merchant": ["<b>bolt</b>", "acme"]}, "sun 02:00-04:00")
    assert "&lt;b&gt;bolt&lt;/b&gt; or acme" in page
    assert (half.status_code, long.status_code) == (422, 422)
