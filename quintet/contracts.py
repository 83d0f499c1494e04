"""The published tables as data contracts in the Open Data Contract Standard, for other tools.

They are made from the dbt models, which dbt and the tests of each build enforce.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # no stubs are installed

from quintet.described_tables import MODELS, read_models

API_VERSION = "v3.1.0"
VERSION = "1.0.0"
"""The version of the contracts: raised when a column is removed, renamed or changes its type."""

_TYPES = {
    "varchar": "string",
    "bigint": "integer",
    "integer": "integer",
    "double": "number",
    "decimal": "number",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
}
"""The standard's type by that of DuckDB, without its precision."""


def contracts(groups: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return the contract of each business, and of `ops`, by its name. groups: what `read_models` returns.

    Raises KeyError for a column of a type that the standard has no name for here.
    """
    return {name: _contract(name, tables) for name, tables in groups.items() if name != "ml"}


def write_contracts(folder: Path) -> list[Path]:
    """Write a file for each business into a folder, which may not exist yet; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, contract in contracts(read_models(MODELS)).items():
        file = folder / f"{name}.odcs.yaml"
        file.write_text(yaml.safe_dump(contract, sort_keys=False, allow_unicode=True, width=120), "utf-8")
        files.append(file)
    return files


def _contract(name: str, tables: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": f"quintet-{name}",
        "name": f"{name.capitalize()}: published tables",
        "version": VERSION,
        "status": "active",
        "domain": name,
        "description": {
            "purpose": f"The tables of {name} that pages, API, notebooks and reports read.",
            "usage": "Open the snapshot read-only; it is replaced as a whole.",
        },
        "servers": [{"server": "snapshot", "type": "duckdb", "database": "serving/current.duckdb", "schema": "marts"}],
        "schema": [_table(table) for table in tables],
    }


def _table(table: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": table["name"],
        "physicalName": table["name"],
        "logicalType": "object",
        "physicalType": "table",
        "description": table["description"],
        "properties": [_property(column, table["key"]) for column in table["columns"]],
    }


def _property(column: Mapping[str, Any], key: Sequence[str]) -> dict[str, Any]:
    name = column["name"]
    described = {"name": name, "description": column["description"], **_typed(column["type"])}
    if column["never_null"] or name in key:
        described["required"] = True
    if name in key:
        described |= {"primaryKey": True, "primaryKeyPosition": list(key).index(name) + 1}
    if key == [name]:
        described["unique"] = True
    if column["refers_to"]:
        described["relationships"] = [{"type": "foreignKey", "to": ".".join(column["refers_to"])}]
    if column["one_of"]:
        rule = {"metric": "invalidValues", "arguments": {"validValues": list(column["one_of"])}, "mustBe": 0}
        described["quality"] = [{"type": "library", **rule}]
    return described


def _typed(data_type: str) -> dict[str, Any]:
    """Return logical and physical type of a column."""
    if data_type.endswith("[]"):
        of_items = _typed(data_type.removesuffix("[]"))
        items = {name: value for name, value in of_items.items() if name != "physicalType"}
        return {"logicalType": "array", "physicalType": data_type, "items": items}
    return {"logicalType": _TYPES[re.sub(r"\(.*\)", "", data_type)], "physicalType": data_type}
