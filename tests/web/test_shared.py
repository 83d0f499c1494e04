"""A service with an empty home serves what a build on another machine shares, and follows what is new."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest
from fastapi.testclient import TestClient

from quintet.change_log.log import open_store
from quintet.domains import DOMAINS
from quintet.lending.policy import DEFAULT_POLICY
from quintet.pipeline import builds
from quintet.settings import Settings, load_settings
from quintet.shared_files import CONTENTS, share_files
from quintet.shared_serving import sha256_of, share
from quintet.warehouse.snapshot import current_snapshot
from tests.unit.lending.models import boosted, scorecard
from tests.waiting import wait_until
from tests.web.lending_decisions import PATH, an_application, client_features, keep, serving


@pytest.fixture
def build(built_home: Path, tmp_path: Path) -> Settings:
    """Return the settings of a machine that has built the samples, with a model and a policy of its own."""
    home, policy = tmp_path / "build", tmp_path / "lending.toml"
    home.mkdir()
    for name in ("serving", "reports", "pipeline.json"):
        (home / name).symlink_to(built_home / name)
    policy.write_text(DEFAULT_POLICY.read_text("utf-8").replace('"2026-11-1"', '"shared-1"'), "utf-8")
    keep(home, scorecard())
    given = {"QUINTET_HOME": home, "QUINTET_LENDING_POLICY": policy, "QUINTET_SERVING_URL": f"file://{tmp_path}/bucket"}
    settings = load_settings({name: str(value) for name, value in given.items()})
    share_files(settings)
    assert settings.serving_url is not None
    store = open_store(settings.serving_url.get_secret_value())
    share(store, current_snapshot(settings.serving), {"marts.dim_agency": 1}, 2)
    return settings


@pytest.fixture
def elsewhere(build: Settings, own_home: Path) -> Iterator[TestClient]:
    """A service with an empty home, beside a stream that knows the clients."""
    home = own_home / "service"
    home.mkdir()
    (home / "cache").symlink_to(own_home / "cache")
    assert build.serving_url is not None
    with client_features(home), serving(home, QUINTET_SERVING_URL=build.serving_url.get_secret_value()) as client:
        yield client


def decided_by(client: TestClient, application: int) -> tuple[str, str]:
    body = client.post(PATH, json=an_application(application)).json()
    return body["model_version"], body["policy_version"]


def test_everything_is_served_from_an_empty_home(elsewhere: TestClient, build: Settings) -> None:
    assert decided_by(elsewhere, 100) == (scorecard().version, "shared-1"), "from the first request on"
    for name in [one.name for domain in DOMAINS for one in domain.reports]:
        answer = elsewhere.get(f"/reports/files/{name}.pdf")
        assert (answer.status_code, answer.content) == (200, (build.reports / f"{name}.pdf").read_bytes()), name
    for page in ("/", "/lending/model", "/promotions", "/insurance", "/conversions", "/payments", "/pipeline"):
        assert elsewhere.get(page).status_code == 200, page
    served = elsewhere.app.state.service.settings.served  # type: ignore[attr-defined]
    assert builds(served) == builds(build.home) != {}
    judged = elsewhere.post("/v1/promotions/abuse-score", json={"user_id": "new", "device_id": "d"})
    assert judged.status_code == 200, judged.text


def test_newer_models_and_policies_are_used_and_damaged_ones_are_not(
    elsewhere: TestClient, build: Settings, tmp_path: Path
) -> None:
    assert decided_by(elsewhere, 100) == (scorecard().version, "shared-1")
    policy = tmp_path / "lending.toml"
    policy.write_text(policy.read_text("utf-8").replace('"shared-1"', '"shared-2"'), "utf-8")
    keep(build.home, boosted())
    share_files(build)
    numbers = iter(range(101, 10_000))
    wait_until(lambda: decided_by(elsewhere, next(numbers)) == (boosted().version, "shared-2"))

    store = open_store(f"file://{tmp_path}/bucket")
    policy.write_text(policy.read_text("utf-8").replace('"shared-2"', '"shared-3"'), "utf-8")
    obstore.put(store, f"{CONTENTS}/{sha256_of(policy)}", b"x" * policy.stat().st_size)
    keep(build.home, scorecard(560))
    share_files(build)
    policy.write_text(policy.read_text("utf-8").replace('"shared-3"', '"shared-4"'), "utf-8")
    share_files(build)
    seen = set()

    def is_current() -> bool:
        seen.add(decided_by(elsewhere, next(numbers)))
        return (scorecard(560).version, "shared-4") in seen

    wait_until(is_current)
    assert {versions[1] for versions in seen} == {"shared-2", "shared-4"}, "the damaged policy was never used"
