"""Data contracts of the published tables, from their descriptions."""

from __future__ import annotations

from typing import Any

import pytest

from quintet.contracts import contracts
from quintet.described_tables import MODELS, read_models


def _properties(groups: dict[str, list[dict[str, Any]]], domain: str, table: str) -> dict[str, dict[str, Any]]:
    [found] = [one for one in contracts(groups)[domain]["schema"] if one["name"] == table]
    return {one["name"]: one for one in found["properties"]}


def test_a_column_has_type_key_reference_and_allowed_values_of_its_model() -> None:
    columns = _properties(read_models(MODELS), "insurance", "fct_agency_performance")
    assert (columns["year"]["logicalType"], columns["year"]["primaryKeyPosition"]) == ("integer", 4)
    assert columns["agency_id"]["relationships"] == [{"type": "foreignKey", "to": "dim_agency.agency_id"}]
    assert columns["prod_line"]["quality"][0]["arguments"] == {"validValues": ["CL", "PL"]}
    assert (columns["months"]["required"], "required" in columns["prev_written_premium"]) == (True, False)
    assert columns["written_premium"]["physicalType"] == "decimal(18,4)"


def test_a_list_names_the_type_of_its_items() -> None:
    reasons = _properties(read_models(MODELS), "promotions", "fct_abuse_scores")["reasons"]
    assert (reasons["logicalType"], reasons["items"]) == ("array", {"logicalType": "string"})
    rows = _properties(read_models(MODELS), "ops", "ops_unread_files")["first_rows"]
    assert rows["items"] == {"logicalType": "array", "items": {"logicalType": "string"}}


def test_a_type_that_the_standard_has_no_name_for_is_refused() -> None:
    groups = read_models(MODELS)
    groups["payments"][0]["columns"][0]["type"] = "geometry"
    with pytest.raises(KeyError, match="geometry"):
        contracts(groups)
