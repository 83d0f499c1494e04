"""Check that no row is lost between the raw tables and the marts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import duckdb

from quintet.ingest.checks import CheckOutcome


@dataclass(frozen=True)
class Path:
    """The tables that the rows of a dataset pass, each as `schema.table`.

    current: one row for each key of `staged`. mart: a table with the rows of `current`; empty if it has others.
    """

    dataset: str
    staged: str
    current: str
    mart: str = ""


def rows_are_kept(connection: duckdb.DuckDBPyConnection, paths: Iterable[Path]) -> CheckOutcome:
    """Check that each loaded batch is staged whole, and that the mart has every current row once."""
    lost: list[str] = []
    figures: dict[str, int | str] = {}
    for path in paths:
        [(batches,)] = connection.execute(
            f"""
            select count(*)
            from (select _batch_id, count(*) as rows from raw.{path.dataset} group by all) as loaded
            full join (select _batch_id, count(*) as rows from {path.staged} group by all) as staged using (_batch_id)
            where loaded.rows is distinct from staged.rows
            """
        ).fetchall()
        counts = {
            name: _count(connection, table)
            for name, table in (("loaded", f"raw.{path.dataset}"), ("current", path.current), ("mart", path.mart))
            if table
        }
        figures |= {f"{path.dataset}: {name}": count for name, count in counts.items()}
        if batches:
            lost.append(f"{batches:,} batches of {path.dataset} differ between raw.{path.dataset} and {path.staged}")
        if counts["current"] > counts["loaded"] or (counts["loaded"] and not counts["current"]):
            lost.append(f"{path.current} has {counts['current']:,} rows from {counts['loaded']:,} loaded ones")
        if path.mart and counts["mart"] != counts["current"]:
            lost.append(f"{path.mart} has {counts['mart']:,} rows, {path.current} {counts['current']:,}")
    return CheckOutcome(not lost, "; ".join(lost) or "every loaded row is in the marts or was replaced", figures)


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    ((count,),) = connection.execute(f"select count(*) from {table}").fetchall()
    return int(count)
