"""Payments by dimension over HTTP and on the page: what explains an incident, hostile values, too many of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.web.payments import TRANSACTIONS, minute, send
from tests.web.service import ADMIN, build_app

MARKUP = "<script>alert(1)</script> *Acme*\x00"
MERCHANTS = (MARKUP, "Bolt", "Corner", "Dot")
SETTINGS = {"QUINTET_PAYMENTS_DIMENSIONS": "merchant, country"}


@pytest.fixture
def payments(own_home: Path) -> Iterator[TestClient]:
    """A client of a service that counts by merchant and country."""
    with TestClient(build_app(own_home, **SETTINGS), headers=ADMIN, raise_server_exceptions=False) as client:
        yield client


def of_merchants(number: int, **denied: int) -> list[dict[str, Any]]:
    return [
        {**item, "merchant": merchant, "country": "de"}
        for merchant in MERCHANTS
        for item in minute(number, approved=40, denied=denied.get(merchant[:4], 4))
    ]


def test_an_incident_names_its_merchant_in_the_api_and_the_page_shows_all_of_them(payments: TestClient) -> None:
    send(payments, *(of_merchants(number) for number in range(60)))
    send(payments, *(of_merchants(number, **{"<scr": 90}) for number in range(60, 64)))
    (incident,) = payments.get("/v1/payments/incidents?source=live").json()["items"]
    (value,) = incident["values"]
    page = payments.get("/payments?day=live&by=merchant&of=denied", headers={"accept": "text/html"}).text
    without = payments.get("/payments?day=live", headers={"accept": "text/html"}).text

    assert (value["dimension"], value["value"]) == ("merchant", "<script>alert(1)</script> *acme*")
    assert value["share"] > 0.9
    assert "<script>alert" not in page
    assert "merchant &lt;script&gt;alert(1)&lt;/script&gt; *acme*" in page
    assert "4 values of merchant with payments in the last hour" in page
    assert 'id="values"' in page
    assert 'id="values"' not in without


@pytest.mark.parametrize("value", ["", None, "x" * 5_000, "\ud83d", "  ", 7_305])
def test_any_text_is_a_value(payments: TestClient, value: Any) -> None:
    body = json.dumps([{**minute(0)[0], "merchant": value}])  # a lone surrogate is JSON, if escaped
    answer = payments.post(TRANSACTIONS, content=body)

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"merchant": ["a"]}, "body.0.merchant: a value of a dimension is a text"),
        ({"merchant": True}, "body.0.merchant: a value of a dimension is a text"),
        ({"issuer": "a"}, "QUINTET_PAYMENTS_DIMENSIONS (now merchant, country)"),
    ],
)
def test_what_cannot_be_a_value_is_refused_with_its_place(payments: TestClient, item: Any, words: str) -> None:
    answer = payments.post(TRANSACTIONS, json=[{**minute(0)[0], **item}])

    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def test_without_the_setting_a_dimension_is_refused_and_the_page_has_no_filter(own_home: Path) -> None:
    with TestClient(build_app(own_home), headers=ADMIN, raise_server_exceptions=False) as client:
        answer = client.post(TRANSACTIONS, json=[{**minute(0)[0], "merchant": "a"}])
        send(client, minute(0), minute(1))
        page = client.get("/payments?day=live&by=merchant", headers={"accept": "text/html"}).text

    assert answer.status_code == 422
    assert "QUINTET_PAYMENTS_DIMENSIONS (now none)" in answer.json()["detail"]
    assert 'name="by"' not in page
    assert 'id="values"' not in page


def test_ten_thousand_values_are_folded_and_the_page_says_so(payments: TestClient) -> None:
    item = minute(0)[0] | {"count": 1}
    assert payments.post(TRANSACTIONS, json=[item | {"merchant": f"m{place}"} for place in range(10_000)]).is_success
    page = payments.get("/payments?day=live&by=merchant", headers={"accept": "text/html"}).text

    assert "10,000 values of merchant with payments in the last hour" in page
    assert "The 999 largest are kept apart, the rest is counted as All others." in page
