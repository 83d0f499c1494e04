"""Dagster loads the project's definitions as expected."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from assets.ingest import raw_key
from assets.jobs import changes_selection, domain_selection
from assets.publish import SNAPSHOT as SNAPSHOT_KEY
from definitions import build_defs
from quintet.code_version import code_files, imported_modules
from quintet.conversions import analysis_tables, matching_run, spellings
from quintet.domain import Domain
from quintet.domains import DATASETS, DOMAINS
from quintet.insurance import forecast_tables
from quintet.lending import result_tables as lending_tables
from quintet.payments import alert_tables
from quintet.promotions import result_tables
from resources.warehouse import POOL
from tests.integration.graph import LINEAGE, SNAPSHOT, describe_graph, lineage_text


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
    assert lineage_text() == LINEAGE.read_text("utf-8"), "python -m tests.integration.graph"


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


def test_every_table_has_an_owner_a_description_and_a_freshness_policy(definitions: dg.Definitions) -> None:
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


_HEAVY = (
    "altair",
    "dbt.adapters",
    "dbt.graph",
    "faker",
    "psycopg",
    "pycountry",
    "rapidfuzz",
    "scipy",
    "sklearn",
    "typst",
    "vl_convert",
)


def heavy_modules(project: Path, statement: str) -> list[str]:
    """Return the slow modules that a process has loaded after the statement."""
    code = f"{statement}; import sys; print([name for name in {_HEAVY!r} if name in sys.modules])"
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True
    ).stdout
    loaded: list[str] = json.loads(printed.splitlines()[-1].replace("'", '"'))
    return loaded


def test_the_definitions_load_nothing_that_only_steps_compute_with(project: Path) -> None:
    assert heavy_modules(project, "import definitions; definitions.build_defs()") == []


def test_finding_that_nothing_is_new_loads_no_orchestrator_either(project: Path) -> None:
    code = "import cli.run, sys; assert not {'dagster', 'dbt'} & set(sys.modules)"
    assert heavy_modules(project, code) == []


def test_a_slow_module_would_be_seen(project: Path) -> None:
    assert heavy_modules(project, "import quintet.conversions.charts, scipy") == ["altair", "scipy"]


def test_what_assets_declare_is_what_their_steps_write(definitions: dg.Definitions) -> None:
    written = {
        "premium_forecast": forecast_tables.TABLES,
        "payment_alerts": alert_tables.ALERT_TABLES,
        "checkout_anomalies": (alert_tables.CHECKOUT_TABLE,),
        "alert_evaluation": alert_tables.EVALUATION_TABLES,
        "abuse_model": result_tables.MODEL_TABLES,
        "abuse_scores": result_tables.SCORE_TABLES,
        "lending_model": lending_tables.MODEL_TABLES,
        "stg_country_names": (spellings.TABLE,),
        "matching": (*matching_run.MATCH_TABLES, *matching_run.REPORT_TABLES),
        "conversion_analysis": analysis_tables.TABLES,
    }
    graph = definitions.resolve_asset_graph()
    declared: dict[str, set[str]] = {name: set() for name in written}
    for key in graph.materializable_asset_keys:
        name = graph.get(key).assets_def.op.name
        if name in declared:
            declared[name].add(".".join(key.path))
    assert declared == {name: set(tables) for name, tables in written.items()}


@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_what_new_files_touch_is_part_of_their_business_and_ends_in_the_snapshot(
    definitions: dg.Definitions, dataset: str
) -> None:
    graph = definitions.resolve_asset_graph()
    domain = DATASETS[dataset].domain
    business = domain_selection(domain).resolve(graph)
    groups = {key: graph.get(key).group_name for key in graph.get_all_asset_keys()}
    touched = changes_selection(groups, [raw_key(dataset)]).resolve(graph)
    assert {raw_key(dataset), SNAPSHOT_KEY} <= touched <= business
    others = {raw_key(name) for name, other in DATASETS.items() if (other.domain, name) != (domain, dataset)}
    assert not touched & others
    assert not [key for key in touched if key.path[0] == "marts" and _is_of_ops(graph, key)]


def test_what_new_files_leave_alone_shows_the_bookkeeping_as_it_is(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    ledger = [key for key in graph.materializable_asset_keys if key.path[0] == "marts" and _is_of_ops(graph, key)]
    assert dg.AssetKey(["marts", "ops_batches"]) in ledger
    assert {graph.get(key).metadata["dagster-dbt/materialization_type"] for key in ledger} == {"view"}


def _is_of_ops(graph: AssetGraph, key: dg.AssetKey) -> bool:
    return graph.get(key).group_name == "ops"


def test_no_table_and_no_report_depends_on_a_page_or_a_route(project: Path) -> None:
    modules = imported_modules(sorted((project / "assets").glob("*.py")))
    files = {file.relative_to(project).as_posix() for file in code_files(*modules)}
    assert [file for file in files if file.startswith("quintet/web/")] == []
    assert "quintet/conversions/fit.py" in files
    assert "quintet/lending/features/paid_loans_count.py" in files, "found by the registry, and imported by nobody"


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_the_code_of_a_business_depends_on_no_other_business(project: Path, domain: Domain) -> None:
    files = [project / f"{name.replace('.', '/')}.py" for name in domain.assets]
    modules = [name for name in imported_modules(files) if not name.startswith("quintet.domains")]
    names = {file.relative_to(project).as_posix() for file in code_files(*modules)}
    others = [f"quintet/{other.name}/" for other in DOMAINS if other is not domain]
    assert [name for name in names if name.startswith(tuple(others))] == []
