"""The pages of the scoring model and the what-if, over a snapshot with a trained model."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from fastapi.testclient import TestClient

from quintet.lending.feature_registry import features
from quintet.lending.models import registry_of
from quintet.lending.policy import read_policy
from quintet.lending.result_tables import write_model_results
from quintet.lending.scoring import REASONS
from quintet.lending.tables import write_training_set
from quintet.web.pages.lending_model import MODEL_PATH, WHAT_IF_PATH
from tests.unit.lending.training import make_training_set
from tests.web.service import ADMIN, build_app

HTML = {"accept": "text/html"}


def _publish(home: Path, rows: int) -> Path:
    (home / "serving").mkdir()
    path = home / "serving" / "one.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema ml; create schema marts")
        connection.execute(
            "create table marts.snapshot as select 'one' as snapshot_id, timestamp '2020-01-01' as published_at"
        )
        write_training_set(connection, make_training_set(2_500).head(rows), features())
        write_model_results(connection, registry_of(home / "models"), read_policy(), dt.datetime(2020, 1, 1))
    (home / "serving" / "current.duckdb").symlink_to(path)
    return home


@pytest.fixture(scope="module")
def lending(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    home = _publish(tmp_path_factory.mktemp("lending"), 2_500)
    with TestClient(build_app(home), headers=ADMIN | HTML, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def untrained(own_home: Path) -> TestClient:
    return TestClient(build_app(_publish(own_home, 0)), headers=ADMIN | HTML, raise_server_exceptions=False)


def test_the_model_card_has_its_figures_and_the_active_model(lending: TestClient) -> None:
    page = lending.get(MODEL_PATH)
    assert page.status_code == 200
    names = re.findall(r'data-figure="([a-z-]+)"', page.text)
    assert len(names) == 7
    assert "Nothing to draw" not in page.text
    assert "<dt>Active</dt>" in page.text
    assert all(sentence.split("'")[0] in page.text for sentence in REASONS.values())


def test_every_figure_of_the_card_has_its_csv(lending: TestClient) -> None:
    urls = re.findall(rf'href="({MODEL_PATH}/[a-z-]+\.csv)"', lending.get(MODEL_PATH).text)
    assert urls
    for url in urls:
        answer = lending.get(url)
        assert answer.status_code == 200
        assert len(answer.text.splitlines()) > 2


def test_the_what_if_starts_with_the_active_policy_without_swaps(lending: TestClient) -> None:
    page = lending.get(WHAT_IF_PATH).text
    assert "Approve below 20%, reject from 40%" in page
    swaps = lending.get(f"{WHAT_IF_PATH}/lending-swaps.csv").text
    assert re.search(r"^New approvals,0,", swaps, re.MULTILINE)
    assert re.search(r"^No longer approved,0,", swaps, re.MULTILINE)


def test_another_limit_swaps_applications_in_or_out(lending: TestClient) -> None:
    for limit, label in (("0.35", "New approvals"), ("0.05", "No longer approved")):
        query = {"approve_below": limit}
        page = lending.get(WHAT_IF_PATH, params=query)
        assert page.status_code == 200
        assert f"Approve below {float(limit):.0%}" in page.text
        swaps = lending.get(f"{WHAT_IF_PATH}/lending-swaps.csv", params=query).text
        (count,) = re.findall(rf"^{label},(\d+),", swaps, re.MULTILINE)
        assert int(count) > 0


@pytest.mark.parametrize(
    "query", ["approve_below=much", "approve_below=2", "reject_from=-1", "approve_below=0.5", "reject_from=nan"]
)
def test_invalid_limits_are_reported_on_the_page_and_refused_as_a_file(lending: TestClient, query: str) -> None:
    page = lending.get(f"{WHAT_IF_PATH}?{query}")
    assert page.status_code == 200
    assert "Cannot be shown." in page.text
    assert lending.get(f"{WHAT_IF_PATH}/lending-swaps.csv?{query}").status_code == 422


def test_an_unknown_figure_is_a_problem(lending: TestClient) -> None:
    for path in (MODEL_PATH, WHAT_IF_PATH):
        assert lending.get(f"{path}/none.csv").status_code == 404


@pytest.mark.parametrize("path", [MODEL_PATH, WHAT_IF_PATH])
def test_without_a_model_the_pages_say_how_to_get_one(untrained: TestClient, path: str) -> None:
    page = untrained.get(path)
    assert page.status_code == 200
    assert "make run SELECT=lending" in page.text


@pytest.mark.parametrize("path", [MODEL_PATH, WHAT_IF_PATH])
def test_the_pages_say_why_no_model_could_be_trained(own_home: Path, path: str) -> None:
    app = build_app(_publish(own_home, 60))
    page = TestClient(app, headers=ADMIN | HTML, raise_server_exceptions=False).get(path)
    assert page.status_code == 200
    assert "No scoring model yet" in page.text
    assert re.search(r"\d+ loans before [0-9-]+ were not repaid; training needs 50", page.text)


@pytest.mark.parametrize("path", [MODEL_PATH, WHAT_IF_PATH])
def test_without_a_key_nothing_is_shown(lending: TestClient, path: str) -> None:
    answer = TestClient(lending.app, raise_server_exceptions=False).get(path)
    assert answer.status_code in {401, 403}
