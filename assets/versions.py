"""Code versions of assets, and the assets that another code version built.

Dagster marks an asset as stale if its code version differs from the version of its last materialisation; a run builds
the assets that Dagster marks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import dagster as dg

from quintet.code_version import locked_versions

_SHAPING_CONFIG = (
    "materialized",
    "unique_key",
    "incremental_strategy",
    "on_schema_change",
    "schema",
    "contract",
    "column_types",
)
_SQL_PACKAGES = ("dbt-core", "dbt-duckdb", "duckdb")


def model_versions(
    project: Mapping[str, Any], variables: Mapping[str, str], sources: Mapping[dg.AssetKey, str] = MappingProxyType({})
) -> dict[str, str]:
    """Return the code version of each model and seed, by its unique id.

    It is a hash over the model's SQL, the configuration that shapes its table, the macros and variables that it uses,
    and the versions of dbt and DuckDB. project: dbt's manifest. variables: dbt variables.
    sources: the code versions of the tables that Python stages. A batch that is staged again keeps its id, so models
    that read it have to be rebuilt from scratch.
    """
    staged = {
        name: sources.get(dg.AssetKey([source["schema"], source["name"]]), "")
        for name, source in project["sources"].items()
    }
    packages = [f"{name}=={version}" for name, version in locked_versions().items() if name in _SQL_PACKAGES]
    macros: dict[str, str] = {}
    return {
        name: _digest(
            [
                *packages,
                *_parts_of(node, project["macros"], macros, variables),
                *(staged[parent] for parent in sorted(node["depends_on"].get("nodes", [])) if parent in staged),
            ]
        )
        for name, node in project["nodes"].items()
        if node["resource_type"] in ("model", "seed")
    }


def _parts_of(
    node: Mapping[str, Any], macros: Mapping[str, Any], known: dict[str, str], variables: Mapping[str, str]
) -> list[str]:
    config = {name: node["config"].get(name) for name in _SHAPING_CONFIG}
    types = {name: column.get("data_type") for name, column in node["columns"].items() if column.get("data_type")}
    texts = [node["checksum"]["checksum"] if node["resource_type"] == "seed" else node["raw_code"]]
    texts += [_macro_text(name, macros, known) for name in sorted(node["depends_on"].get("macros", []))]
    used = {name: value for name, value in variables.items() if any(name in text for text in texts)}
    return [json.dumps([config, types, used], sort_keys=True), *texts]


def _macro_text(name: str, macros: Mapping[str, Any], known: dict[str, str]) -> str:
    """Return the text of a project macro and of the macros it calls; an empty text for a macro of dbt itself."""
    if name not in macros or not name.startswith("macro.quintet."):
        return ""
    if name not in known:
        known[name] = ""  # a macro that calls itself ends here
        called = "".join(_macro_text(other, macros, known) for other in sorted(macros[name]["depends_on"]["macros"]))
        known[name] = macros[name]["macro_sql"] + called
    return known[name]


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def versions_of(specs: Iterable[dg.AssetSpec]) -> dict[dg.AssetKey, str]:
    """Return the code version of every asset that has one."""
    return {spec.key: spec.code_version for spec in specs if spec.code_version is not None}


def stale_assets(versions: Mapping[dg.AssetKey, str], instance: dg.DagsterInstance) -> set[dg.AssetKey]:
    """Return the assets that were never built, or last built by another code version.

    versions: by asset, as `versions_of` returns them.
    """
    built = instance.get_latest_materialization_code_versions(list(versions))
    return {key for key, version in versions.items() if built.get(key) != version}
