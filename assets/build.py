"""Track builds: the code version that built each incremental table, and the datasets that reached all models."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

import dagster as dg
import duckdb

from quintet.warehouse.built import built_versions, set_built


@contextmanager
def rebuilding(connection: duckdb.DuckDBPyConnection, spec: dg.AssetSpec) -> Iterator[bool]:
    """Yield whether an incremental table must be rebuilt from scratch, and record its code version after the body.

    A body that raises records nothing.
    """
    name, version = spec.key.to_user_string(), str(spec.code_version)
    yield built_versions(connection).get(name) != version
    set_built(connection, {name: version})


def datasets_fully_built(
    datasets: Iterable[str], definitions: Sequence[dg.AssetsDefinition], built: Collection[dg.AssetKey]
) -> set[str]:
    """Return those of a domain's datasets whose downstream assets were all built.

    definitions: all assets of the domain downstream of the raw tables. The last definition holds the dbt models; the
    others lie between and count as built. built: the keys of the models that were built.
    """
    children: dict[dg.AssetKey, set[dg.AssetKey]] = {}
    for definition in definitions:
        for key, dependencies in definition.asset_deps.items():
            for dependency in dependencies:
                children.setdefault(dependency, set()).add(key)
    models = set(definitions[-1].keys)

    def is_complete(key: dg.AssetKey) -> bool:
        return all((child in built or child not in models) and is_complete(child) for child in children.get(key, ()))

    return {name for name in datasets if is_complete(dg.AssetKey(["raw", name]))}
