"""Short names for dbt's tests: Dagster shows a check beside its table, whose name it need not repeat."""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any


def with_short_names(project: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest whose tests are named by what they check, each name once among the tests of a table.

    `unique_fct_conversions_conversion_id` of `fct_conversions` becomes `unique_conversion_id`. dagster-dbt takes the
    names of checks and of their results from the manifest; dbt itself is called with ids.
    """
    nodes = dict(project["nodes"])
    by_name: dict[tuple[Any, str], list[str]] = defaultdict(list)
    for unique_id, node in sorted(nodes.items()):
        if node["resource_type"] == "test" and node.get("test_metadata"):
            by_name[node.get("attached_node"), _short_name(node["test_metadata"])].append(unique_id)
    for (_, name), unique_ids in by_name.items():
        for unique_id in unique_ids:
            described = nodes[unique_id]["test_metadata"]
            of_several = f"{name}_of_{_columns(described)}" if len(unique_ids) > 1 else name
            nodes[unique_id] = {**nodes[unique_id], "name": of_several}
    return {**project, "nodes": nodes}


def _short_name(described: Mapping[str, Any]) -> str:
    column = described.get("kwargs", {}).get("column_name")
    return _slug(f"{described['name']}_{column}" if column else described["name"])


def _columns(described: Mapping[str, Any]) -> str:
    """Return the arguments of a test that another of its kind on the same table does not have."""
    return _slug("_".join(str(value) for name, value in described["kwargs"].items() if name not in _COMMON))


_COMMON = ("model", "column_name")


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")
