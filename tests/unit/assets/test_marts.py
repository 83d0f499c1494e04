"""Each model and test is in the part of its domain, of the results or of the other models, and can be looked up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assets.marts import Translator, _Nodes, _parts_of, check_in_words
from definitions import PROJECT as CHECKOUT
from definitions import build_resources
from quintet.settings import load_settings
from resources.dagster_dbt import DagsterDbtTranslator
from resources.dbt import prepare_manifest


def node(kind: str, domain: str, *reads: str, tags: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"resource_type": kind, "tags": list(tags), "fqn": ["quintet", domain, "x"], "depends_on": {"nodes": reads}}


PROJECT: dict[str, Any] = {
    "nodes": {
        "model.minutes": node("model", "payments", "source.raw", "source.batches"),
        "model.incidents": node("model", "payments", "source.ml", tags=("payments", "results")),
        "model.users": node("model", "promotions", "source.users", "source.batches"),
        "seed.rules": node("seed", "promotions"),
        "test.minutes": node("test", "payments", "model.minutes", tags=("payments",)),
        "test.incidents": node("test", "payments", "model.incidents"),
        "test.both": node("test", "payments", "model.minutes", "model.incidents"),
        "test.of a source": node("test", "quintet", "source.users", "source.batches"),
    },
}


def test_a_test_goes_with_the_results_where_it_reads_one() -> None:
    assert _parts_of(PROJECT, of_results=True) == {"payments": ["model.incidents", "test.incidents", "test.both"]}


def test_a_test_of_a_source_goes_with_the_models_that_read_it() -> None:
    assert _parts_of(PROJECT, of_results=False) == {
        "payments": ["model.minutes", "test.minutes"],
        "promotions": ["model.users", "seed.rules", "test.of a source"],
    }


def test_every_node_can_be_looked_up_and_only_the_part_is_listed() -> None:
    nodes = _Nodes(PROJECT["nodes"], ["model.users"])
    assert list(nodes) == ["model.users"]
    for name, found in PROJECT["nodes"].items():
        assert nodes.get(name) is found
        assert name in nodes


def test_every_node_of_the_project_is_in_a_part(project: Path) -> None:
    assert project == CHECKOUT
    manifest = json.loads(prepare_manifest(build_resources(load_settings())["dbt"]).read_text("utf-8"))
    parts = [part for of_results in (False, True) for part in _parts_of(manifest, of_results=of_results).values()]
    listed = [name for part in parts for name in part]
    expected = {name for name, one in manifest["nodes"].items() if one["resource_type"] in ("model", "seed", "test")}
    ephemeral = {name for name, one in manifest["nodes"].items() if one["config"].get("materialized") == "ephemeral"}
    assert set(listed) | ephemeral == expected | ephemeral
    models = [name for name in listed if manifest["nodes"][name]["resource_type"] != "test"]
    assert len(models) == len(set(models))


def test_a_source_is_translated_once_for_all_parts_and_as_for_one(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert project == CHECKOUT
    manifest = json.loads(prepare_manifest(build_resources(load_settings())["dbt"]).read_text("utf-8"))
    source, model = min(manifest["sources"]), "model.quintet.fct_payment_minutes"
    alone, of_all, asked = Translator({}), Translator({}), []
    original = DagsterDbtTranslator.get_asset_spec

    def get_asset_spec(self: DagsterDbtTranslator, manifest: Any, unique_id: str, project: Any) -> Any:
        asked.append(unique_id)
        return original(self, manifest, unique_id, project)

    monkeypatch.setattr(DagsterDbtTranslator, "get_asset_spec", get_asset_spec)
    for part in [dict(manifest), dict(manifest)]:
        assert of_all.get_asset_spec(part, source, None).key == alone.get_asset_spec(manifest, source, None).key
        of_all.get_asset_spec(part, model, None)
    assert asked.count(source) == 2  # once by each translator
    assert asked.count(model) == 2  # once for each part, which its metadata names


@pytest.mark.parametrize(
    ("test", "words"),
    [
        ({"test_metadata": {"name": "unique", "kwargs": {"model": "m", "column_name": "id"}}}, "unique of id"),
        (
            {
                "test_metadata": {
                    "name": "every_row",
                    "kwargs": {"never_null": ["a", "b"], "one_of": {"line": ["CL", "PL"]}, "at_least": {"n": 1}},
                }
            },
            "every row; never null: a, b; one of: line CL, PL; at least: n 1",
        ),
        (
            {"test_metadata": {"name": "same_number_of_rows", "kwargs": {"other": "ref('int_a')"}}},
            "same number of rows; other: int_a",
        ),
        (
            {"test_metadata": {"name": "keeps_every_key", "kwargs": {"other": "source('raw', 'a')"}}},
            "keeps every key; other: raw.a",
        ),
        ({"name": "no_orphans"}, "the query no orphans returns no row"),
    ],
)
def test_a_check_says_what_it_checks(test: dict[str, Any], words: str) -> None:
    assert check_in_words(test) == words
