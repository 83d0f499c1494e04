"""The project as Dagster loads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from definitions import build_defs
from quintet.datasets import DATASETS
from resources.warehouse import POOL
from tests.integration.graph import SNAPSHOT, describe_graph


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_defs()


def validate(project: Path, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("dagster")), "definitions", "validate", "--workspace", "workspace.yaml"],
        cwd=project,
        env={**os.environ, "DAGSTER_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_dagster_loads_the_workspace(project: Path, tmp_path: Path) -> None:
    result = validate(project, tmp_path)
    assert result.returncode == 0, result.stderr


def test_a_broken_workspace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "workspace.yaml").write_text("load_from:\n  - python_module: {module_name: broken}\n")
    (tmp_path / "broken.py").write_text("raise RuntimeError('cannot load')\n")
    assert validate(tmp_path, tmp_path).returncode != 0


def test_the_graph_is_the_one_that_was_reviewed() -> None:
    reviewed = json.loads(SNAPSHOT.read_text("utf-8"))
    assert describe_graph() == reviewed, "if the change is meant: python -m tests.integration.graph"


def test_every_op_that_opens_the_warehouse_waits_for_its_place(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    without = [
        key.to_user_string() for key in graph.materializable_asset_keys if graph.get(key).assets_def.op.pool != POOL
    ]
    assert all(name.startswith(("reports/", "notifications/")) for name in without), "only what reads the snapshot"
    assert {"reports/premium", "reports/checkout_analysis", "notifications/payments"} <= set(without)


def test_every_raw_table_has_a_blocking_check_of_its_schema(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for name in DATASETS:
        key = dg.AssetCheckKey(dg.AssetKey(["raw", name]), "schema")
        assert graph.get_check_spec(key).blocking


def test_every_table_says_who_owns_it_what_it_is_and_how_fresh_it_must_be(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        assert node.owners, key
        assert node.description, key
        assert node.freshness_policy is not None, key


def test_every_inbox_has_a_sensor_that_is_on(definitions: dg.Definitions) -> None:
    sensors = {sensor.name: sensor for sensor in definitions.get_repository_def().sensor_defs}
    for name in DATASETS:
        assert sensors[f"watch_{name}"].default_status is dg.DefaultSensorStatus.RUNNING
