"""The published tables as their dbt models describe them: descriptions, types, keys and rules of columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # no stubs are installed

from quintet.domains import DOMAIN_NAMES

MODELS = Path(__file__).parents[1] / "dbt_project" / "models"

_GROUPS = (*DOMAIN_NAMES, "ops")
_BLOCK = re.compile(r"{% docs (\w+) %}(.*?){% enddocs %}", re.DOTALL)
_REF = re.compile(r"ref\('(\w+)'\)")
_REFERENCE = re.compile(r"{{ doc\('(\w+)'\) }}")


def read_models(models: Path) -> dict[str, list[dict[str, Any]]]:
    """By group (a domain, `ops` or `ml`): the published tables, each with name, description, columns and key.

    A column has name, description, type, whether it is never null, its allowed values, and the column that it refers to
    (table and name), where they are declared. models: dbt's folder of models. References to shared descriptions are
    resolved; raises KeyError for an unknown one.
    """
    blocks = {
        name: text for path in sorted(models.rglob("*.md")) for name, text in _BLOCK.findall(path.read_text("utf-8"))
    }
    groups = {
        domain: [table for path in sorted((models / "marts" / domain).glob("*.yml")) for table in _load(path, "models")]
        for domain in _GROUPS
    }
    sources = [source for path in sorted(models.rglob("*.yml")) for source in _load(path, "sources")]
    groups["ml"] = [table for source in sources if source["schema"] == "ml" for table in source["tables"]]
    made_by_dbt = [table for path in sorted((models / "ml").rglob("*.yml")) for table in _load(path, "models")]
    groups["ml"] += [table for table in made_by_dbt if not _is_ephemeral(models, table["name"])]
    return {group: [_resolve(table, blocks) for table in tables] for group, tables in groups.items() if tables}


def _is_ephemeral(models: Path, name: str) -> bool:
    """Whether a model is a part of other models' SQL and no table."""
    [file] = models.rglob(f"{name}.sql")
    return "materialized='ephemeral'" in file.read_text("utf-8")


def _load(path: Path, section: str) -> list[dict[str, Any]]:
    return (yaml.safe_load(path.read_text("utf-8")) or {}).get(section) or []


def _resolve(table: dict[str, Any], blocks: Mapping[str, str]) -> dict[str, Any]:
    def text(item: Mapping[str, Any]) -> str:
        resolved = _REFERENCE.sub(lambda reference: blocks[reference[1]], item.get("description", ""))
        return " ".join(resolved.split())

    rules: Mapping[str, Any] = next(
        (test["every_row"]["arguments"] for test in _tests(table) if "every_row" in test), {}
    )
    columns = [
        {
            "name": column["name"],
            "description": text(column),
            "type": column.get("data_type", ""),
            "never_null": column["name"] in rules.get("never_null", ()),
            "one_of": rules.get("one_of", {}).get(column["name"], []),
            "refers_to": _referred(column),
        }
        for column in table.get("columns", [])
    ]
    return {"name": table["name"], "description": text(table), "columns": columns, "key": _key(table)}


def _tests(described: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the tests of a table or column that take arguments."""
    return [test for test in described.get("data_tests", []) if isinstance(test, dict)]


def _referred(column: Mapping[str, Any]) -> tuple[str, str] | None:
    for test in _tests(column):
        if "relationships" in test:
            arguments = test["relationships"]["arguments"]
            return _REF.findall(arguments["to"])[0], arguments["field"]
    return None


def _key(table: Mapping[str, Any]) -> list[str]:
    """Return the columns that identify a row by the first test of uniqueness; empty without one."""
    combined = [test["unique_combination"] for test in _tests(table) if "unique_combination" in test]
    alone = [column["name"] for column in table.get("columns", []) if "unique" in column.get("data_tests", [])]
    names = {column["name"] for column in table.get("columns", [])}
    keys = [*([name] for name in alone), *(test["arguments"]["columns"] for test in combined)]
    return next((key for key in keys if names.issuperset(key)), [])
