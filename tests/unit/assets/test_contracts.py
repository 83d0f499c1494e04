"""The public marts have enforced contracts: dbt refuses to build one with other columns or types."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from definitions import build_resources
from quintet.settings import load_settings
from resources.dbt import prepare_manifest

RELIED_ON = (
    *("dim_agency", "dim_product", "dim_state", "dim_year", "fct_agency_performance", "fct_premium_forecast"),
    *("fct_conversions", "fct_broker_rows", "fct_conversion_matches", "fct_unified_journeys"),
    *("fct_promo_users", "fct_promo_usages", "dim_promo_code", "fct_abuse_scores"),
    *("fct_payment_minutes", "fct_payment_incidents", "fct_checkout_anomalies"),
    *("fct_client_features", "fct_loan_decisions", "ops_batches", "ops_rejected_rows"),
)
"""The marts whose names and columns do not change."""

REPEATING = (
    *("fct_premium_forecast", "fct_premium_forecast_scores", "fct_premium_forecast_backtest"),
    *("fct_checkout_anomalies", "fct_payment_incidents", "fct_payment_points", "fct_alert_evaluation"),
    *("fct_alert_evaluation_incidents", "fct_client_features"),
)
"""The marts that have the rows and columns of a table of ml."""


@pytest.fixture(scope="module")
def models() -> dict[str, dict[str, Any]]:
    """Return the nodes of the manifest's models by name."""
    manifest = json.loads(prepare_manifest(build_resources(load_settings())["dbt"]).read_text("utf-8"))
    return {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}


def broken_contracts(models: Mapping[str, Mapping[str, Any]], names: Iterable[str]) -> list[str]:
    """Return what each named model lacks of an enforced contract."""
    faults = []
    for name in names:
        if name not in models:
            faults.append(f"{name} is no model")
            continue
        config, columns = models[name]["config"], models[name]["columns"]
        if not config["contract"]["enforced"]:
            faults.append(f"{name} has no enforced contract")
        faults += [f"{name}.{column} has no type" for column, about in columns.items() if not about["data_type"]]
        if config["materialized"] == "incremental" and config["on_schema_change"] != "fail":
            faults.append(f"{name} lets its columns change: {config['on_schema_change']}")
    return faults


def test_every_mart_that_others_rely_on_has_an_enforced_contract(models: dict[str, dict[str, Any]]) -> None:
    assert broken_contracts(models, RELIED_ON) == []


def test_every_other_mart_has_one_too(models: dict[str, dict[str, Any]]) -> None:
    marts = [name for name, node in models.items() if node["schema"] == "marts"]
    assert set(RELIED_ON) < set(marts)
    assert broken_contracts(models, marts) == []


def test_a_missing_part_of_a_contract_is_found() -> None:
    def model(columns: Mapping[str, str | None], **config: Any) -> dict[str, Any]:
        base = {"materialized": "table", "on_schema_change": "ignore", "contract": {"enforced": True}}
        return {
            "config": base | config,
            "columns": {name: {"data_type": data_type} for name, data_type in columns.items()},
        }

    planted = {
        "good": model({"year": "integer"}),
        "loose": model({"year": "integer"}, contract={"enforced": False}),
        "untyped": model({"year": "integer", "label": None}),
        "changing": model({"year": "integer"}, materialized="incremental"),
    }
    assert broken_contracts(planted, [*planted, "gone"]) == [
        "loose has no enforced contract",
        "untyped.label has no type",
        "changing lets its columns change: ignore",
        "gone is no model",
    ]


def test_a_mart_that_repeats_a_table_of_ml_is_a_view(models: dict[str, dict[str, Any]]) -> None:
    for name in REPEATING:
        assert (models[name]["config"]["materialized"], models[name]["database"]) == ("view", "published"), name
