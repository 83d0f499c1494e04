"""A model's code version changes with what shapes its table; an asset is stale if another version built it."""

from __future__ import annotations

import copy
from typing import Any

import dagster as dg
import duckdb
import pytest

from assets.build import rebuilding
from assets.versions import model_versions, stale_assets, versions_of
from quintet.warehouse.built import built_versions

PROJECT: dict[str, Any] = {
    "nodes": {
        "model.quintet.a": {
            "resource_type": "model",
            "raw_code": "{{ trimmed('x') }} from {{ var('anchor') }}",
            "checksum": {"checksum": "1"},
            "config": {"materialized": "table", "schema": "marts", "meta": {"owner": "one"}},
            "columns": {"x": {"name": "x", "description": "X.", "data_type": "bigint"}},
            "depends_on": {"macros": ["macro.quintet.trimmed", "macro.dbt.ref"], "nodes": ["source.quintet.raw.t"]},
        },
        "model.quintet.b": {
            "resource_type": "model",
            "raw_code": "select 1",
            "checksum": {"checksum": "2"},
            "config": {"materialized": "view", "schema": "marts"},
            "columns": {},
            "depends_on": {"macros": [], "nodes": ["model.quintet.a"]},
        },
        "test.quintet.c": {"resource_type": "test"},
    },
    "macros": {
        "macro.quintet.trimmed": {"macro_sql": "trim", "depends_on": {"macros": ["macro.quintet.inner"]}},
        "macro.quintet.inner": {"macro_sql": "inner", "depends_on": {"macros": ["macro.quintet.trimmed"]}},
        "macro.dbt.ref": {"macro_sql": "ref", "depends_on": {"macros": []}},
    },
    "sources": {"source.quintet.raw.t": {"schema": "raw", "name": "t"}},
}
VARIABLES = {"anchor": "2024-01-01", "other": "1"}
NODE = ("nodes", "model.quintet.a")


def changed(path: tuple[str, ...], value: object) -> dict[str, Any]:
    project = copy.deepcopy(PROJECT)
    part: Any = project
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    return project


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((*NODE, "raw_code"), "select 2"),
        ((*NODE, "config", "materialized"), "incremental"),
        ((*NODE, "columns", "x", "data_type"), "varchar"),
        (("macros", "macro.quintet.trimmed", "macro_sql"), "ltrim"),
        (("macros", "macro.quintet.inner", "macro_sql"), "deeper"),
    ],
)
def test_what_shapes_a_table_changes_the_version_of_its_model_alone(path: tuple[str, ...], value: object) -> None:
    before, after = model_versions(PROJECT, VARIABLES), model_versions(changed(path, value), VARIABLES)
    assert {name for name in before if before[name] != after[name]} == {"model.quintet.a"}


@pytest.mark.parametrize(
    ("path", "value"),
    [((*NODE, "config", "meta"), {"owner": "two"}), ((*NODE, "columns", "x", "description"), "Other words.")],
)
def test_words_change_no_version(path: tuple[str, ...], value: object) -> None:
    assert model_versions(PROJECT, VARIABLES) == model_versions(changed(path, value), VARIABLES)


def test_only_a_variable_that_is_used_changes_a_version() -> None:
    before = model_versions(PROJECT, VARIABLES)
    assert model_versions(PROJECT, VARIABLES | {"other": "2"}) == before
    assert model_versions(PROJECT, VARIABLES | {"anchor": "2025-01-01"})["model.quintet.a"] != before["model.quintet.a"]


def test_a_table_that_python_stages_by_other_code_changes_the_models_that_read_it() -> None:
    one, two = (model_versions(PROJECT, VARIABLES, {dg.AssetKey(["raw", "t"]): version}) for version in "12")
    assert {name for name in one if one[name] != two[name]} == {"model.quintet.a"}


def test_an_asset_is_stale_where_other_code_or_none_has_built_it() -> None:
    def asset(version: str | None) -> dg.AssetsDefinition:
        return dg.asset(key="a", code_version=version)(lambda: None)

    with dg.DagsterInstance.ephemeral() as instance:
        versions = versions_of(asset("1").specs)
        assert stale_assets(versions, instance) == {dg.AssetKey("a")}
        dg.materialize([asset("1")], instance=instance)
        assert stale_assets(versions, instance) == set()
        assert stale_assets(versions_of(asset("2").specs), instance) == {dg.AssetKey("a")}
    assert versions_of(asset(None).specs) == {}


def test_a_table_is_built_from_scratch_until_its_code_has_built_it() -> None:
    def attempt(version: str, *, fails: bool = False) -> bool:
        spec = dg.AssetSpec("a", code_version=version)
        with rebuilding(connection, spec) as code_has_changed:
            if fails:
                raise ValueError("half-way")
        return code_has_changed

    with duckdb.connect() as connection:
        connection.execute("create schema ops; create table ops.built (name varchar primary key, code_version varchar)")
        with pytest.raises(ValueError, match="half-way"):
            attempt("1", fails=True)
        assert [attempt("1"), attempt("1"), attempt("2"), attempt("2")] == [True, False, True, False]
        assert built_versions(connection) == {"a": "2"}
