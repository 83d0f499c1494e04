"""Describe the tables that Python writes to Dagster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dagster as dg
import duckdb

from assets.ahead import MODULES
from assets.facts import DAILY, owners_of
from quintet.code_version import code_version


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


def row_counts(connection: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> dict[str, int]:
    """Return the number of rows of each table."""
    counts = {table: connection.execute(f"select count(*) from {table}").fetchall() for table in tables}
    return {table: int(count) for table, ((count,),) in counts.items()}


def results(rows: Mapping[str, int], metadata: Mapping[str, Any] | None = None) -> Iterator[dg.MaterializeResult]:
    """Yield the result of each table: its row count and the shared metadata."""
    for table, count in rows.items():
        yield dg.MaterializeResult(
            asset_key=table.split("."), metadata={"dagster/row_count": count, **(metadata or {})}
        )
