""" "Materialize all" in the Dagster UI works, through the webserver's own API, without a partition."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from quintet.warehouse.snapshot import open_snapshot
from tests.conftest import Quintet
from tests.security.dagster_ui import Ui, running_ui
from tests.waiting import wait_until

_ASSETS = """
{ assetNodes { assetKey { path } isMaterializable isPartitioned } }
"""
_LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on InvalidSubsetError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
_STATUS = """
query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }
"""
_BUILT = """
query ($id: ID!) { runOrError(runId: $id) { ... on Run { assetMaterializations { assetKey { path } } } } }
"""


@pytest.fixture
def ui(
    tmp_path: Path,
    built: Quintet,  # what depends on the code alone is taken from there
) -> Iterator[tuple[Ui, Quintet]]:
    """Yield `quintet dev` over an empty home whose inboxes hold the samples."""
    quintet = Quintet(built.raw, tmp_path / "home")
    with running_ui(quintet) as found:
        yield found, quintet


def test_materialize_all_builds_and_publishes_all_five_businesses(ui: tuple[Ui, Quintet]) -> None:
    web, quintet = ui
    nodes = web.ask(_ASSETS)["assetNodes"]
    assert [node for node in nodes if node["isPartitioned"]] == []  # so that the UI asks for none
    assets = [node["assetKey"]["path"] for node in nodes if node["isMaterializable"]]
    params = {
        "selector": {
            "repositoryLocationName": "definitions:defs",
            "repositoryName": "__repository__",
            "pipelineName": "__ASSET_JOB",
            "assetSelection": [{"path": path} for path in assets],
        },
        "mode": "default",
        "runConfigData": {},
    }
    launched = web.ask(_LAUNCH, params=params)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run = launched["run"]["runId"]

    def status_at_the_end() -> str | None:
        status = web.ask(_STATUS, id=run)["runOrError"]["status"]
        return status if status in ("SUCCESS", "FAILURE", "CANCELED") else None

    assert wait_until(status_at_the_end) == "SUCCESS"
    events = web.ask(_BUILT, id=run)["runOrError"]["assetMaterializations"]
    built = {tuple(event["assetKey"]["path"]) for event in events}
    assert {tuple(path) for path in assets} == built
    with open_snapshot(quintet.snapshot) as snapshot:
        for table in ("agency_performance", "promo_users", "conversions", "client_features", "payment_minutes"):
            ((rows,),) = snapshot.execute(f"select count(*) from marts.fct_{table}").fetchall()
            assert rows > 0, table
