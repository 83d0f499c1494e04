"""How far a build has come: which code built the tables that are added to, and which datasets reached all models."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import dagster as dg
import duckdb

from quintet.domains import DATASETS
from quintet.warehouse.ledger import built_versions, set_built


@contextmanager
def rebuilding(connection: duckdb.DuckDBPyConnection, spec: dg.AssetSpec) -> Iterator[bool]:
    """Give whether a table that is added to has to be built from scratch, and note the code once the body has done so.

    Only a body that ends without an error counts.
    """
    name, version = spec.key.to_user_string(), str(spec.code_version)
    yield built_versions(connection).get(name) != version
    set_built(connection, {name: version})


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
