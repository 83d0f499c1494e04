"""Each domain declares checks of tables that exist, and a check becomes an asset check with its severity."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import duckdb
import pytest

from assets.checks import CHECKS, build_checks, function_of
from definitions import build_defs
from quintet.domain import DataCheck, Domain
from quintet.domains import DOMAIN_NAMES, DOMAINS
from quintet.ingest.checks import CheckOutcome
from resources.warehouse import Warehouse

HERE = __name__


def passes(connection: duckdb.DuckDBPyConnection) -> CheckOutcome:
    return CheckOutcome(
        True, "good", {"tables": connection.execute("select count(*) from ops.batches").fetchall()[0][0]}
    )


def fails(_: duckdb.DuckDBPyConnection) -> CheckOutcome:
    return CheckOutcome(False, "bad", {"rows": 3})


DOMAIN = Domain(
    name="things",
    headline=lambda _: "",
    assets=(),
    samples="",
    checks=(
        DataCheck("one", "ml.things", "It passes.", f"{HERE}.passes", is_error=True),
        DataCheck("two", "ml.things", "It warns.", f"{HERE}.fails"),
        DataCheck("three", "ml.things", "It fails.", f"{HERE}.fails", is_error=True),
    ),
)


def evaluated(tmp_path: Path) -> dict[str, dg.AssetCheckEvaluation]:
    warehouse = Warehouse(
        database=str(tmp_path / "warehouse.duckdb"),
        memory_limit="500MB",
        threads=1,
        lock_wait_seconds=1,
        snapshots_kept=1,
    )
    job = dg.Definitions(
        [dg.asset(key=["ml", "things"])(lambda: None)],
        asset_checks=[build_checks(DOMAIN)],
        resources={"warehouse": warehouse},
    ).resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(raise_on_error=False)
    assert result.success, "a check that fails stops nothing"
    return {one.check_name: one for one in result.get_asset_check_evaluations()}


def test_outcome_severity_and_figures_reach_dagster(tmp_path: Path) -> None:
    found = evaluated(tmp_path)
    error, warning = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
    assert {name: one.passed for name, one in found.items()} == {"one": True, "two": False, "three": False}
    assert {name: one.severity for name, one in found.items()} == {"one": error, "two": warning, "three": error}
    assert found["two"].metadata["rows"].value == 3
    assert found["two"].description == "bad"


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_every_declared_check_is_a_function_of_the_domain(domain: Domain) -> None:
    for check in domain.checks:
        assert check.function.startswith(f"quintet.{domain.name}.checks.")
        assert callable(function_of(check))


def test_every_check_is_about_a_table_of_its_domain() -> None:
    graph = build_defs().resolve_asset_graph()
    keys = {key: one for checks in CHECKS for key, one in ((spec.key, spec) for spec in checks.check_specs)}
    assert {graph.get(key.asset_key).group_name for key in keys} == set(DOMAIN_NAMES)
    for domain in DOMAINS:
        for check in domain.checks:
            assert graph.get(dg.AssetKey(check.table.split("."))).group_name == domain.name


def test_the_promised_checks_are_declared() -> None:
    names = {check.name for domain in DOMAINS for check in domain.checks}
    assert {"placebo_rate", "promotion_gate", "score_drift", "input_drift", "rows_kept", "forecast_coverage"} <= names
