"""dbt runs on what was parsed before, whichever warehouse it is given, and what fails is seen."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
import pytest

from resources.dbt import CALL_DBT, Dbt, prepare_manifest

_PROFILE = """
little:
  target: warehouse
  outputs: {warehouse: {type: duckdb, path: "{{ env_var('QUINTET_WAREHOUSE') }}"}}
"""


@pytest.fixture
def little(tmp_path: Path) -> Path:
    """A project of two models: one holds what the variable says, the other fails."""
    project = tmp_path / "project"
    (project / "models").mkdir(parents=True)
    (project / "dbt_project.yml").write_text("{name: little, version: 1.0.0, profile: little}")
    (project / "profiles.yml").write_text(_PROFILE)
    (project / "models" / "one.sql").write_text("select {{ var('number') if execute else 0 }} as number")
    (project / "models" / "two.sql").write_text("select no_such_column")
    return project


def dbt(project: Path, warehouse: str) -> Dbt:
    return Dbt(
        project_dir=str(project),
        profiles_dir=str(project),
        dbt_executable=sys.executable,
        global_config_flags=CALL_DBT,
        warehouse=str(project.parent / warehouse / "warehouse.duckdb"),
        memory_limit="1GB",
        threads=1,
    )


def test_what_was_parsed_once_runs_on_any_warehouse_and_a_failing_model_fails_the_call(little: Path) -> None:
    (little.parent / "second").mkdir()
    first, second = dbt(little, "first"), dbt(little, "second")
    assert prepare_manifest(first).is_file()
    (little / "target" / "partial_parse.msgpack").write_bytes(
        b"what a call of dbt by hand leaves, for a database of its own"
    )
    (little / "models" / "three.sql").write_text("select {{ no_such_macro() }}")  # only who parses it sees it

    build = second.cli(["build", "--vars", "{number: 7}"], raise_on_error=False)

    assert not build.is_successful()
    assert build.process.returncode == 1
    assert "no_such_column" in str(build.get_error())
    assert "no_such_macro" not in str(build.get_error())
    with duckdb.connect(second.warehouse) as warehouse:
        assert warehouse.execute("from one").fetchall() == [(7,)]
    assert not Path(first.warehouse).exists()
