"""Every feature is a column of the published table, so that none is computed and never seen."""

from __future__ import annotations

from pathlib import Path

import yaml  # type: ignore[import-untyped]  # no stubs are installed

from quintet.lending.feature_registry import features

_KEYS = {"client_id", "as_of"}


def columns_of(models: Path, table: str) -> set[str]:
    declared = yaml.safe_load((models / "marts" / "lending" / "lending.yml").read_text("utf-8"))["models"]
    (model,) = [model for model in declared if model["name"] == table]
    return {column["name"] for column in model["columns"]}


def missing(names: set[str], columns: set[str]) -> set[str]:
    return names - columns


def test_every_feature_has_a_column_and_every_column_is_a_feature(project: Path) -> None:
    names = {feature.name for feature in features()}
    columns = columns_of(project / "dbt_project" / "models", "fct_client_features") - _KEYS
    assert missing(names, columns) == set(), "add the column to fct_client_features.sql and lending.yml"
    assert missing(columns, names) == set()


def test_a_feature_without_a_column_would_be_found(project: Path) -> None:
    columns = columns_of(project / "dbt_project" / "models", "fct_client_features")
    assert missing({"paid_loans_count", "new_feature"}, columns) == {"new_feature"}
