"""The decisions page without a browser: a time window, one decision, and no decision."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from tests.web.lending_decisions import PATH, an_application, serving

PAGE = "/lending/decisions"
HTML = {"accept": "text/html"}


@pytest.fixture
def decided(lending: TestClient) -> Iterator[TestClient]:
    """A service that has decided four applications."""
    for number, other in enumerate([{}, {"client_id": 8}, {"amount": 9_000.0}, {"amount": 20_000.0}]):
        assert lending.post(PATH, json=an_application(300 + number, **other)).status_code == 200
    return lending


def test_without_decisions_the_page_says_how_to_make_some(own_home) -> None:
    with serving(own_home) as client:
        page = client.get(PAGE, headers=HTML)
    assert page.status_code == 200
    assert "make simulate" in page.text
    assert "no stream has written features yet" in page.text


def test_the_page_shows_the_decisions_and_the_active_policy(decided: TestClient) -> None:
    page = decided.get(PAGE, params={"window": "hour"}, headers=HTML).text
    assert "4 decisions" in page
    assert "DEFAULT_RISK" in page
    assert "2026-11-1" in page
    for name in ("latency", "shares", "scores", "reasons", "drift"):
        assert f'data-figure="{name}"' in page


def test_a_decision_is_traced_from_raw_data_to_outcome(decided: TestClient) -> None:
    page = decided.get(PAGE, params={"application": "303"}, headers=HTML).text
    trace = page.split('id="trace"')[1].split('aria-labelledby="speed-title"')[0]
    for part in (
        "20000",
        "paid_loans_count",
        "points",
        "LARGE_AMOUNT",
        "applies",
        "Decided: refer",
        "identical bit for bit",
    ):
        assert part in trace, part


@pytest.mark.parametrize(("asked", "said"), [("7", "no decision of application 7"), ("x", "is not an id")])
def test_an_undecided_application_has_no_trace(decided: TestClient, asked: str, said: str) -> None:
    page = decided.get(PAGE, params={"application": asked}, headers=HTML)
    assert page.status_code == 200
    assert said in page.text


@pytest.mark.parametrize("name", ["latency", "shares", "scores", "reasons", "drift", "decisions"])
def test_every_figure_has_its_csv(decided: TestClient, name: str) -> None:
    answer = decided.get(f"{PAGE}/figures/{name}.csv")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")


def test_an_unknown_figure_is_a_problem(decided: TestClient) -> None:
    assert decided.get(f"{PAGE}/figures/nothing.csv").status_code == 404
