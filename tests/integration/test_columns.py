"""Dagster shows the columns of each table that a run has built: their types, and what they are computed from."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from assets.tables import COLUMNS, LINEAGE, ROWS, Tables, carried_from, columns_of_tables, table_facts
from definitions import build_defs
from quintet.warehouse.database import open_warehouse, published_file

_NORMALISED = "staging.stg_agency_performance"
"""Its columns are read from text, so that their values are not those of the raw table."""

_EXTRACT = "source.promotions."
"""The rows of the application's database: an asset that is named unlike its table."""


@dataclass(frozen=True)
class Built:
    """A table as its latest materialization describes it. sources: by column, the columns behind it."""

    rows: int
    types: Mapping[str, str]
    sources: Mapping[str, tuple[str, ...]]


@pytest.fixture(scope="module")
def warehouse(built_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A copy of the warehouse that the samples have built."""
    source, to = built_home / "warehouse.duckdb", tmp_path_factory.mktemp("columns") / "warehouse.duckdb"
    shutil.copy(source, to)
    shutil.copy(published_file(source), published_file(to))
    with open_warehouse(to, memory_limit="1GB", threads=1, lock_wait_seconds=0) as connection:
        yield connection


@pytest.fixture(scope="module")
def tables(warehouse: duckdb.DuckDBPyConnection) -> Tables:
    return columns_of_tables(warehouse)


@pytest.fixture(scope="module")
def specs() -> Mapping[str, dg.AssetSpec]:
    """The assets that are tables, by name."""
    graph = build_defs().resolve_asset_graph()
    nodes = [graph.get(key) for key in graph.materializable_asset_keys if len(key.path) == 2]
    return {".".join(node.key.path): node.assets_def.get_asset_spec(node.key) for node in nodes}


@pytest.fixture(scope="module")
def described(built_home: Path, tables: Tables, specs: Mapping[str, dg.AssetSpec]) -> Mapping[str, Built]:
    """What Dagster has of each table of the warehouse."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(built_home / "dagster"))
        instance = dg.DagsterInstance.get()
    with instance:
        for name in specs:
            schema, table = name.split(".")
            event = instance.get_latest_materialization_event(dg.AssetKey([schema, table]))
            if table in tables.get(schema, {}) and event and event.asset_materialization:
                found[name] = _built(event.asset_materialization.metadata)
    return found


def _built(metadata: Mapping[str, Any]) -> Built:
    columns = metadata[COLUMNS].schema.columns if COLUMNS in metadata else ()
    lineage = metadata[LINEAGE].column_lineage.deps_by_column if LINEAGE in metadata else {}
    return Built(
        metadata[ROWS].value,
        {column.name: column.type for column in columns},
        {
            name: tuple(".".join([*dep.asset_key.path, dep.column_name]) for dep in deps)
            for name, deps in lineage.items()
        },
    )


def _named(dep: dg.TableColumnDep) -> str:
    return ".".join([*dep.asset_key.path, dep.column_name])


def faults_of_types(built: Mapping[str, Built], tables: Tables) -> list[str]:
    """Return the tables whose columns differ from the warehouse's, and columns without a type."""
    faults = []
    for name, one in built.items():
        schema, table = name.split(".")
        faults += [name] if dict(one.types) != dict(tables[schema][table]) else []
        faults += [f"{name}.{column}" for column, kind in one.types.items() if kind.strip('"') == "null"]
    return faults


def faults_of_lineage(built: Mapping[str, Built], tables: Tables) -> list[str]:
    """Return the sources that are no column of the warehouse."""
    known: set[str] = {
        f"{schema}.{table}.{name}" for schema, of in tables.items() for table, one in of.items() for name in one
    }
    return [
        f"{name}.{column}: {source}"
        for name, one in built.items()
        for column, sources in one.sources.items()
        for source in sources
        if source not in known and not source.startswith(_EXTRACT)
    ]


def test_every_table_has_its_columns_with_their_types(
    described: Mapping[str, Built], tables: Tables, specs: Mapping[str, dg.AssetSpec]
) -> None:
    written = {f"{schema}.{table}" for schema, of in tables.items() for table in of}
    assert set(described) == written & set(specs)
    assert len(described) > 150
    assert faults_of_types(described, tables) == []


def test_every_model_has_the_sources_of_its_columns_and_they_exist(
    described: Mapping[str, Built], tables: Tables, specs: Mapping[str, dg.AssetSpec]
) -> None:
    models = {name for name, spec in specs.items() if "dbt" in spec.kinds and not name.startswith("seeds.")}
    assert models
    assert [name for name in sorted(models) if set(described[name].sources) != set(described[name].types)] == []
    assert faults_of_lineage(described, tables) == []
    traced = described["marts.fct_conversion_matches"].sources
    assert traced["match_probability"] == ("matching.matches.match_probability",)


def test_sources_are_tables_that_the_step_reads(
    described: Mapping[str, Built], specs: Mapping[str, dg.AssetSpec]
) -> None:
    def upstream(name: str) -> set[str]:
        return {".".join(dep.asset_key.path) for dep in specs[name].deps} if name in specs else set()

    for name, one in described.items():
        near = upstream(name) | {name}
        near |= {further for parent in near for further in upstream(parent)}  # through a query that is no table
        read = {source.rpartition(".")[0] for sources in one.sources.values() for source in sources}
        assert read <= near, name


def test_a_column_that_python_carries_over_has_the_values_of_its_source(
    described: Mapping[str, Built], specs: Mapping[str, dg.AssetSpec], warehouse: duckdb.DuckDBPyConnection
) -> None:
    checked = 0
    for name, one in described.items():
        if "dbt" in specs[name].kinds or name == _NORMALISED:
            continue
        for column, sources in one.sources.items():
            for source in sources:
                assert strangers(warehouse, name, column, source) == 0, f"{name}.{column} is not {source}"
                checked += 1
    assert checked >= 30


def strangers(connection: duckdb.DuckDBPyConnection, name: str, column: str, source: str) -> int:
    """Return the number of values of a column that its source does not have."""
    parent, _, original = source.rpartition(".")
    [(count,)] = connection.execute(
        f'select count(*) from (select "{column}" from {name} where "{column}" is not null '
        f'except select "{original}" from {parent})'
    ).fetchall()
    return int(count)


@pytest.mark.parametrize("step", ["insurance", "promotions", "conversions", "payments", "lending"])
def test_a_step_of_each_business_in_python_has_sources(
    described: Mapping[str, Built], specs: Mapping[str, dg.AssetSpec], step: str
) -> None:
    own = [name for name, spec in specs.items() if spec.group_name == step and "python" in spec.kinds]
    assert any(described[name].sources for name in own if name in described)


def test_a_wrong_type_a_missing_source_and_a_strange_value_are_found(
    tables: Tables, warehouse: duckdb.DuckDBPyConnection
) -> None:
    wrong = {"marts.dim_year": Built(1, {"year": '"null"'}, {"year": ("raw.nothing.year",)})}
    assert faults_of_types(wrong, tables) == ["marts.dim_year", "marts.dim_year.year"]
    assert faults_of_lineage(wrong, tables) == ["marts.dim_year.year: raw.nothing.year"]
    assert strangers(warehouse, "ml.abuse_scores", "score", "marts.dim_year.year") > 0


def test_a_source_of_a_column_that_a_table_lacks_is_left_out(
    warehouse: duckdb.DuckDBPyConnection, tables: Tables
) -> None:
    sources = carried_from({"marts/fct_agency_performance": ["year", "agency_id"]})
    facts = table_facts(warehouse, tables, "marts.dim_year", sources)
    assert set(facts[LINEAGE].deps_by_column) == {"year"}
    assert LINEAGE not in table_facts(warehouse, tables, "marts.dim_year", carried_from({"ml/other": ["agency_id"]}))
