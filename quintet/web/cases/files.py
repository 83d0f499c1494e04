"""The evidence of a file: its header and first rows, or the rows that broke the contract."""

from __future__ import annotations

import duckdb
import pandas as pd
from fastapi import Request

from quintet.cases.store import Case
from quintet.domains import DATASETS
from quintet.presentation.design import Column, format_value
from quintet.web.cases.evidence import Evidence
from quintet.web.rendering import Table

_MOST_SHOWN = 20
_FILE = """
    select file, bytes, loaded, strftime(arrived_at, '%Y-%m-%d %H:%M') from marts.ops_batches
    where dataset = ? and batch_id = ?
"""
_BROKEN = (
    Column("source_row", "Row", "count"),
    Column("reason", "Why", "sentence"),
    Column("text", "In the file"),
)


def evidence(_: Request, case: Case, marts: duckdb.DuckDBPyConnection | None) -> Evidence:
    """Return the header, the first rows, and what the contract knows; or the first rows that broke the contract."""
    if marts is None:
        return Evidence(problem="Nothing is published yet.")
    dataset, batch_id, *rest = case.subject_id.split(" ")
    rows = marts.execute(_FILE, [dataset, batch_id]).fetchall()
    if not rows:
        return Evidence(problem="The current snapshot does not have this file any more.")
    ((file, size, loaded, arrived),) = rows
    facts = {
        "Inbox": dataset,
        "File": file,
        "Size": f"{format_value(size, 'count')} bytes",
        "Arrived": f"{arrived} UTC",
    }
    if rest:
        return Evidence(facts | {"Rows loaded": format_value(loaded, "count")}, tables=[_broken(marts, case)])
    known = DATASETS.get(dataset)
    if known is not None:
        facts["Columns of the contract"] = ", ".join(known.columns)
    header = marts.execute(
        "select titles, lacking, first_rows from marts.ops_unread_files where dataset = ? and batch_id = ?",
        [dataset, batch_id],
    ).fetchall()
    if not header or not header[0][0]:
        return Evidence(facts)
    titles, lacking, first_rows = header[0]
    facts["Header"] = ", ".join(titles)
    return Evidence(facts | {"Lacks": ", ".join(lacking)}, tables=[_first_rows(titles, first_rows)])


def _first_rows(titles: list[str], first_rows: list[list[str]]) -> Table:
    shown = titles[: len(first_rows[0])] if first_rows else titles
    names = [f"column_{place}" for place in range(1, len(shown) + 1)]
    frame = pd.DataFrame([row[: len(names)] for row in first_rows], columns=names, dtype="str")
    columns = [Column(name, title or f"({name.replace('_', ' ')})") for name, title in zip(names, shown, strict=True)]
    return Table(frame, columns, "Header and first rows", len(frame), nothing="No row below the header can be shown.")


def _broken(marts: duckdb.DuckDBPyConnection, case: Case) -> Table:
    dataset, batch_id, *_ = case.subject_id.split(" ")
    found = "from marts.ops_rejected_rows where dataset = ? and batch_id = ?"
    frame = marts.execute(
        f"select source_row, reason, left(text, 500) as text {found} order by source_row limit {_MOST_SHOWN}",
        [dataset, batch_id],
    ).df()
    ((total,),) = marts.execute(f"select count(*) {found}", [dataset, batch_id]).fetchall()
    return Table(frame, _BROKEN, "Rows that broke the contract", int(total))
