"""Read files again whose mapping has changed since they were loaded: it was taken back, or fits quarantined rows."""

from __future__ import annotations

from collections.abc import Collection

import duckdb

from quintet.ingest.contract import Dataset, fold_header
from quintet.ingest.files import Layout
from quintet.ingest.mapping import Used, quoted_sql
from quintet.ingest.raw_tables import raw_table
from quintet.warehouse.built import forget_built
from quintet.warehouse.database import transaction


def used_columns(dataset: Dataset, layout: Layout) -> Used:
    """Return the titles of a file that only a mapping reads as a column of the contract."""
    named = zip(layout.titles, layout.header, strict=True)
    columns = {
        title: name for title, name in named if name is not None and dataset.aliases.get(fold_header(title)) != name
    }
    return Used(columns, shape=layout.shape if columns else "")


def outdated_batches(connection: duckdb.DuckDBPyConnection, dataset: Dataset, tables: str = "ops.") -> dict[str, str]:
    """Return the loaded batches that the mapping of today reads in another way, with their file.

    tables: what the names of the tables of batches and of rejected rows begin with: `marts.ops_` in a snapshot.
    """
    mapped = connection.execute(
        f"select batch_id, file, mapping from {tables}batches where dataset = ? and status = 'loaded' "
        "and mapping is not null order by all",
        [dataset.name],
    ).fetchall()
    found = {batch: file for batch, file, mapping in mapped if not _still_holds(Used.from_json(mapping), dataset)}
    for column, known_by in dataset.mapping.spellings.items():
        found |= dict(
            connection.execute(
                f"select distinct batch_id, batch.file from {tables}rejected_rows as broken "
                f"join {tables}batches as batch using (dataset, batch_id) where dataset = ? "
                f"and lower(trim({quoted_sql('reason', column)})) in "
                "(select lower(trim(unnest(?::varchar[])))) order by all",
                [dataset.name, [spelling for spelling in known_by if spelling.strip()]],
            ).fetchall()
        )
    return found


def unload(connection: duckdb.DuckDBPyConnection, dataset: Dataset, batches: Collection[str]) -> dict[str, str]:
    """Remove what was loaded from some batches, so that their files are new again; return their mappings.

    The models are then built from scratch: those that are incremental have rows of these batches.
    """
    if not batches:
        return {}
    chosen = list(batches)
    with transaction(connection):
        mappings = connection.execute(
            "select batch_id, mapping from ops.batches where dataset = ? and list_contains(?, batch_id) "
            "and mapping is not null",
            [dataset.name, chosen],
        ).fetchall()
        connection.execute(f"delete from {raw_table(dataset.name)} where list_contains(?, _batch_id)", [chosen])
        for table in ("rejected_rows", "batches"):
            connection.execute(
                f"delete from ops.{table} where dataset = ? and list_contains(?, batch_id)", [dataset.name, chosen]
            )
        forget_built(connection)
    return dict(mappings)


def _still_holds(used: Used, dataset: Dataset) -> bool:
    columns = dataset.mapping.columns.get(used.shape, {})
    if any(columns.get(fold_header(title)) != column for title, column in used.columns.items()):
        return False
    return all(
        dataset.mapping.spellings.get(column, {}).get(spelling) == known
        for column, known_by in used.spellings.items()
        for spelling, known in known_by.items()
    )
