"""Describe tables to Dagster: the specs of those that Python writes, and rows and columns of any that was built."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import dagster as dg
import duckdb

from assets.ahead import MODULES
from assets.facts import DAILY, owners_of
from quintet.code_version import code_version
from quintet.warehouse.sql import quote_identifier

ROWS, COLUMNS, LINEAGE = "dagster/row_count", "dagster/column_schema", "dagster/column_lineage"

Sources = Mapping[str, Sequence[Sequence[str]]]
"""By column, the columns that it is computed from: the parts of an asset key, and the column."""

Tables = Mapping[str, Mapping[str, Mapping[str, str]]]
"""By schema, table and column: the data type."""


class Retraining(dg.Config):
    """Configuration of a step that trains a model. retrain: train a new version in any case."""

    retrain: bool = False


def table_specs(
    group: str,
    tables: Mapping[str, str],
    deps: Iterable[str],
    modules: Iterable[str],
    kinds: Iterable[str] = ("python", "duckdb"),
) -> list[dg.AssetSpec]:
    """Return the spec of each table of a step.

    tables: description by name, such as `ml.abuse_scores`. deps: what the step reads, such as `ops/abuse_labels`.
    modules: the `quintet` modules whose code decides what is written.
    """
    modules = list(modules)
    version = code_version(*modules)
    return [
        dg.AssetSpec(
            table.split("."),
            deps=[dg.AssetKey(key.split("/")) for key in deps],
            group_name=group,
            description=description,
            owners=owners_of(group),
            kinds=set(kinds),
            freshness_policy=DAILY,
            code_version=version,
            metadata={"dagster/table_name": table, MODULES: modules},
        )
        for table, description in tables.items()
    ]


def with_column_descriptions(
    assets: Iterable[dg.AssetsDefinition | dg.AssetSpec], project: Mapping[str, Any]
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """Return assets with the columns that dbt's sources describe for them. project: dbt's manifest.

    The UI shows these descriptions beside the types of the latest build.
    """
    schemas = {
        dg.AssetKey([source["schema"], source["name"]]): dg.TableSchema(
            [
                dg.TableColumn(name, column.get("data_type") or "", description=column["description"])
                for name, column in source["columns"].items()
            ]
        )
        for source in project["sources"].values()
        if source["columns"]
    }

    def add(spec: dg.AssetSpec) -> dg.AssetSpec:
        schema = schemas.get(spec.key)
        return spec if schema is None else spec.merge_attributes(metadata={COLUMNS: schema})

    return list(dg.map_asset_specs(add, assets))


def carried_from(columns: Mapping[str, Sequence[str]]) -> Sources:
    """Return the sources of columns that a step carries over as they are. columns: by asset that it reads."""
    sources: dict[str, list[tuple[str, str, str]]] = {}
    for asset, names in columns.items():
        schema, table = asset.split("/")
        for name in names:
            sources.setdefault(name, []).append((schema, table, name))
    return sources


def columns_of_tables(connection: duckdb.DuckDBPyConnection) -> Tables:
    """Return the columns of all tables and views of the warehouse, in their order."""
    tables: dict[str, dict[str, dict[str, str]]] = {}
    for schema, table, column, data_type in connection.execute(
        "select schema_name, table_name, column_name, data_type from duckdb_columns() where not internal "
        "order by database_name, table_oid, column_index"
    ).fetchall():
        tables.setdefault(schema, {}).setdefault(table, {})[column] = data_type.lower()
    return tables


def table_facts(
    connection: duckdb.DuckDBPyConnection, tables: Tables, name: str, sources: Sources = MappingProxyType({})
) -> dict[str, Any]:
    """Return the rows of a table, its columns with types, and what they are computed from, as Dagster's metadata.

    tables: as `columns_of_tables` returns them. name: such as `ml.abuse_scores`. sources: of columns; the table may
    lack some of them.
    """
    schema, table = name.split(".")
    columns = tables[schema][table]
    [(rows,)] = connection.execute(f"select count(*) from {schema}.{quote_identifier(table)}").fetchall()
    facts = {ROWS: rows, COLUMNS: dg.TableSchema([dg.TableColumn(*column) for column in columns.items()])}
    known = {
        column: [dg.TableColumnDep(dg.AssetKey(parent), source) for *parent, source in sources[column]]
        for column in columns
        if column in sources
    }
    return {**facts, LINEAGE: dg.TableColumnLineage(known)} if known else facts


def described(
    connection: duckdb.DuckDBPyConnection, tables: Iterable[str], sources: Sources = MappingProxyType({})
) -> dict[str, dict[str, Any]]:
    """Return the facts of each table that a step has written. sources: of the columns of any of them."""
    return described_by(connection, dict.fromkeys(tables, sources))


def described_by(connection: duckdb.DuckDBPyConnection, sources: Mapping[str, Sources]) -> dict[str, dict[str, Any]]:
    """Return the facts of each table that a step has written. sources: of its columns, by table."""
    columns = columns_of_tables(connection)
    return {table: table_facts(connection, columns, table, own) for table, own in sources.items()}


def results(
    facts: Mapping[str, Mapping[str, Any]], metadata: Mapping[str, Any] | None = None
) -> Iterator[dg.MaterializeResult]:
    """Yield the result of each table: its facts and the shared metadata."""
    for table, known in facts.items():
        yield dg.MaterializeResult(asset_key=table.split("."), metadata={**known, **(metadata or {})})
