"""How far a build has come: whether the code at hand made what stands, and which datasets have reached all models."""

from collections.abc import Collection, Sequence

import dagster as dg
import duckdb

from quintet.domains import DATASETS
from quintet.warehouse.ledger import build_fingerprint


def code_has_changed(connection: duckdb.DuckDBPyConnection, code: str) -> bool:
    """Whether derived tables must be made anew rather than added to; `code` is the fingerprint of the code at hand."""
    return build_fingerprint(connection) != code


def datasets_fully_built(definitions: Sequence[dg.AssetsDefinition], built: Collection[dg.AssetKey]) -> set[str]:
    """The datasets of which every asset downstream was built.

    definitions: all assets below the raw tables; the last one is that of the models, the others stand between and
    count as built. built: the models that were.
    """
    children: dict[dg.AssetKey, set[dg.AssetKey]] = {}
    for definition in definitions:
        for key, dependencies in definition.asset_deps.items():
            for dependency in dependencies:
                children.setdefault(dependency, set()).add(key)
    models = set(definitions[-1].keys)

    def is_complete(key: dg.AssetKey) -> bool:
        return all((child in built or child not in models) and is_complete(child) for child in children.get(key, ()))

    return {name for name in DATASETS if is_complete(dg.AssetKey(["raw", name]))}
