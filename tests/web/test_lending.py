"""Lending over HTTP: a client's features from the stream, and the page of all features."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from quintet.change_log.change import Position
from quintet.change_log.log import Epoch
from quintet.lending.feature_registry import features
from quintet.lending.online import OnlineFeatures
from quintet.state.features import FeatureStore
from tests.unit.lending.events import change
from tests.web.service import ADMIN, build_app

_LOAN = {
    "client_id": 7, "amount": 100.0, "created_on": "2020-08-01", "status": "paid", "updated_on": "2020-08-20",
}  # fmt: skip


@pytest.fixture
def lending(tmp_path: Path) -> TestClient:
    """A service whose stream has applied a client, a paid loan, and a loan of a client missing in the CRM."""
    online = OnlineFeatures(FeatureStore(tmp_path / "online"), features())
    online.begin(Epoch("E", Position(0), Position(0), "2020-01-01T00:00:00.000000Z", "1"))
    changes = [
        change(1, "user", 7, {"created_on": "2020-01-01", "birth_date": None}),
        change(2, "loan", 1, _LOAN),
        change(3, "loan", 2, {**_LOAN, "client_id": 8}),
    ]
    online.apply(changes, Position(4), 4)
    online.store.close()
    return TestClient(build_app(tmp_path), headers=ADMIN, raise_server_exceptions=False)


def test_a_client_has_its_features_at_the_requested_day(lending: TestClient) -> None:
    answer = lending.get("/v1/lending/clients/7/features", params={"as_of": "2020-08-23"}).json()
    assert answer["features"]["paid_loans_count"] == 1
    assert answer["features"]["days_since_last_late_payment"] is None
    assert answer["features"]["profit_in_last_90_days_rate"] == 0.0
    assert set(answer["features"]) == {feature.name for feature in features()}
    assert (answer["as_of"], answer["applied_lsn"], answer["is_client"]) == ("2020-08-23", 4, True)
    before = lending.get("/v1/lending/clients/7/features", params={"as_of": "2020-08-19"}).json()
    assert before["features"]["paid_loans_count"] == 0


def test_a_loan_of_a_client_missing_in_the_crm_is_not_a_client(lending: TestClient) -> None:
    assert lending.get("/v1/lending/clients/8/features").json()["is_client"] is False


@pytest.mark.parametrize(
    ("as_of", "status"), [("1999-12-31", 422), ("2000-01-01", 200), ("2101-01-01", 422), ("9999-12-31", 422)]
)
def test_a_plausible_day_can_be_requested(lending: TestClient, as_of: str, status: int) -> None:
    assert lending.get("/v1/lending/clients/7/features", params={"as_of": as_of}).status_code == status


@pytest.mark.parametrize(("days", "status"), [(0, 200), (1, 200), (2, 422)])
def test_features_of_the_future_are_refused(lending: TestClient, days: int, status: int) -> None:
    as_of = (dt.datetime.now(dt.UTC) + dt.timedelta(days=days)).date().isoformat()
    answer = lending.get("/v1/lending/clients/7/features", params={"as_of": as_of})
    assert answer.status_code == status
    assert status == 200 or "is in the future" in answer.json()["detail"]


def test_an_unknown_client_is_a_problem(lending: TestClient) -> None:
    answer = lending.get("/v1/lending/clients/9/features")
    assert answer.status_code == 404
    assert "no client 9" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/lending/clients/x/features", "/v1/lending/clients/7/features?as_of=yesterday"])
def test_an_invalid_query_is_refused(lending: TestClient, path: str) -> None:
    assert lending.get(path).status_code == 422


def test_without_features_the_answer_says_how_to_start_the_stream(tmp_path: Path) -> None:
    client = TestClient(build_app(tmp_path), headers=ADMIN, raise_server_exceptions=False)
    answer = client.get("/v1/lending/clients/7/features")
    assert answer.status_code == 503
    assert "make stream" in answer.json()["detail"]


def test_the_page_has_every_feature_in_words_and_code(client: TestClient) -> None:
    page = client.get("/lending/features", headers={"accept": "text/html"})
    assert page.status_code == 200
    for feature in features():
        assert f'id="feature-{feature.name}"' in page.text
    assert "def apply(" in page.text
    assert "make stream" in page.text
