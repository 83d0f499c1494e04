"""The payments page without a browser: its texts, its forms, and no published snapshot."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from quintet.payments.__main__ import send_minutes
from quintet.state.keys import create_key
from tests.web.payments import minute, send
from tests.web.service import ADMIN, build_app

HTML = {"accept": "text/html"}


@pytest.fixture
def empty(own_home: Path) -> Iterator[TestClient]:
    """A service without a snapshot and without payments."""
    with TestClient(build_app(own_home), headers=ADMIN | HTML, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def burst(empty: TestClient) -> TestClient:
    """A service with an hour of payments and a burst of denials after it."""
    send(empty, *(minute(number) for number in range(60)), *(minute(number, denied=70) for number in range(60, 64)))
    return empty


def test_without_payments_the_page_says_how_to_send_some(empty: TestClient) -> None:
    page = empty.get("/payments")

    assert page.status_code == 200
    assert "No transactions have been sent to the service yet" in page.text


def test_an_open_incident_is_described_and_can_be_acknowledged(burst: TestClient) -> None:
    page = burst.get("/payments").text
    (path,) = re.findall(r'action="(/payments/incidents/[0-9a-f]{12}/acknowledge)"', page)
    after = burst.post(path, follow_redirects=True).text

    assert "Something is wrong now: denied." in page
    assert "more than a quarter was denied" in page
    assert page.index(path) < page.index('id="incidents"'), "the button stands with the state of the series"
    assert "acknowledge" not in after
    assert "handled by QUINTET_ADMIN_KEY" in after
    assert "QUINTET_ADMIN_KEY" in after.split('id="incidents"')[1]


def test_a_silence_is_made_and_ended_on_the_page(burst: TestClient) -> None:
    made = burst.post("/payments/silences", data={"series": "denied", "minutes": "60", "comment": "known"})
    (end,) = re.findall(r'action="(/payments/silences/\d+/end)"', burst.get("/payments").text)
    wrong = burst.post("/payments/silences", data={"minutes": "61"})

    assert made.status_code == 200  # after the redirect
    assert "known" in made.text
    assert wrong.status_code == 422
    assert "Nothing is silenced" in burst.post(end).text


def test_every_series_has_its_chart_and_its_csv(burst: TestClient) -> None:
    page = burst.get("/payments").text
    addresses = re.findall(r'class="csv" href="([^"]+)"', page)

    assert 'id="series-denied"' in page
    assert 'id="series-feed"' not in page
    assert len(addresses) == 7
    for address in addresses:
        answer = burst.get(address.replace("&amp;", "&"))
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.text.startswith("minute_at,minute_count")
    assert burst.get("/payments/figures/nothing.csv").status_code == 404


def test_the_page_has_no_inline_script_or_style(burst: TestClient) -> None:
    page = burst.get("/payments").text

    assert re.findall(r"<script(?![^>]*(?:src=|application/json))", page) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", page) == []


def test_a_day_of_files_is_shown_with_its_incidents_and_its_checkout(client: TestClient) -> None:
    page = client.get("/payments?day=2024-01-01&file=checkout_1.csv", headers=HTML).text

    assert "2024-01-01:" in page
    assert "Checkout sales by hour, checkout_1.csv" in page
    assert "anomalous</span>" in page
    assert "payments.js" not in page
    assert client.get("/payments/figures/checkout.csv?day=2024-01-01&file=checkout_1.csv").text.count("\n") == 25


def test_text_in_the_address_stays_text(burst: TestClient) -> None:
    assert "<script>alert" not in burst.get("/payments?day=%3Cscript%3Ealert(1)%3C/script%3E").text


def test_a_reader_who_may_not_handle_sees_no_forms(burst: TestClient) -> None:
    store = burst.app.state.service.store  # type: ignore[attr-defined]
    _, key = create_key(store, "reader", ["payments:read"], dt.datetime.now(dt.UTC), os.urandom)
    headers = {"authorization": f"Bearer {key}"}

    assert "acknowledge" not in burst.get("/payments", headers=headers).text
    assert burst.post("/payments/silences", data={"minutes": "60"}, headers=headers).status_code == 403


def test_a_sent_file_fills_the_page(empty: TestClient) -> None:
    minutes = [(str(number), minute(number)) for number in range(30)]
    answers = list(send_minutes(minutes, 0, lambda items: send(empty, items)))

    assert len(answers) == 3
    assert "100 approved transactions at 12:29 UTC" in empty.get("/payments").text
