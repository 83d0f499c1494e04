"""Checks of the raw tables; each returns whether it passes, and its figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from quintet.ingest.contract import Dataset
from quintet.ingest.raw_tables import PROVENANCE, raw_table
from quintet.presentation.wording import counted


@dataclass(frozen=True)
class CheckOutcome:
    """The outcome of a check: whether it passes, one sentence about it, and its figures."""

    passed: bool
    description: str
    figures: Mapping[str, int | str]


def check_schema(connection: duckdb.DuckDBPyConnection, dataset: Dataset) -> CheckOutcome:
    """Check that `raw.<dataset>` has the contract's columns as text, and no row that breaks the contract."""
    described = connection.execute(f"describe {raw_table(dataset.name)}").fetchall()
    actual = {name: kind.lower() for name, kind, *_ in described}
    expected = dict.fromkeys(dataset.columns, "varchar") | PROVENANCE
    wrong = sorted(name for name in actual.keys() | expected.keys() if actual.get(name) != expected.get(name))
    if wrong:
        return CheckOutcome(
            False, f"columns differ from the contract: {', '.join(wrong)}", {"columns": ", ".join(wrong)}
        )
    broken = _count(connection, f"select count(*) from {raw_table(dataset.name)} where {dataset.broken_sql()}")
    return CheckOutcome(
        broken == 0, f"{counted(broken, 'row')} against the contract", {"rows that break the contract": broken}
    )


def check_reconciliation(connection: duckdb.DuckDBPyConnection, dataset: Dataset) -> CheckOutcome:
    """Check for each batch that every row read is either in the raw table or quarantined."""
    off = connection.execute(
        f"""
        with kept as (select _batch_id as batch_id, count(*) as kept from {raw_table(dataset.name)} group by all),
        quarantine as (
            select batch_id, count(*) as quarantined from ops.rejected_rows where dataset = $dataset group by all
        )
        select batch_id
        from (select * from ops.batches where dataset = $dataset) as batches
        full join kept using (batch_id)
        full join quarantine using (batch_id)
        where rows is null
            or rows != loaded + rejected
            or loaded != coalesce(kept, 0)
            or rejected != coalesce(quarantined, 0)
        """,
        {"dataset": dataset.name},
    ).fetchall()
    batches = ", ".join(sorted(batch_id for (batch_id,) in off))
    description = f"batches that do not add up: {batches}" if off else "rows read = loaded + rejected in every batch"
    return CheckOutcome(not off, description, {"batches that do not add up": len(off)})


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0
