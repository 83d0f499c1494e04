"""Quarantine rows that break the contract, or cannot be split into cells, with their reason and verbatim text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import duckdb
import numpy as np
import pyarrow as pa

from quintet.forgotten import REASON
from quintet.ingest.contract import Dataset
from quintet.ingest.doubt import Doubts, find_doubts, rounded_amounts
from quintet.ingest.examine import Examined, layout_of
from quintet.ingest.files import Layout, column_names
from quintet.ingest.forgotten import is_forgotten_sql
from quintet.ingest.records import chunks, read_records
from quintet.limits import Limits
from quintet.warehouse.sql import quote_identifier, quote_literal

QUARANTINE = """
create or replace temp table quarantine (batch_id varchar, source_row bigint, reason varchar, text varchar)
"""


def append_to_quarantine(
    connection: duckdb.DuckDBPyConnection,
    batch_id: str,
    rows: Sequence[int],
    reasons: Sequence[str | None],
    texts: Sequence[str],
) -> None:
    """Add rows of a batch with their reasons and texts to the temporary table `quarantine`."""
    if not rows:
        return
    frame = pa.table(
        {
            "source_row": pa.array(rows, pa.int64()),
            "reason": pa.array(reasons, pa.string()),
            "text": pa.array(texts, pa.large_string()),
        }
    )
    connection.register("broken_records", frame)
    connection.execute("insert into quarantine select ?, source_row, reason, text from broken_records", [batch_id])
    connection.unregister("broken_records")


def quarantine_broken_rows(
    connection: duckdb.DuckDBPyConnection, dataset: Dataset, group: list[Examined], staged: str
) -> Doubts:
    """Write the staged rows that break the contract, and those that could not be split, to `ops.rejected_rows`.

    The table `broken` lists the rows that are not kept, also rows of nothing but delimiters, which are blank lines and
    no data. Returns the numbers that may be read in two ways.
    """
    layout = layout_of(group[0])
    doubts = _doubts(connection, dataset, layout, staged)
    forgotten = is_forgotten_sql(connection, dataset) if set(dataset.persons) <= set(layout.present) else None
    conditions = doubts.conditions() + _too_long(layout, group[0].file.limits)
    conditions += [(forgotten, quote_literal(REASON))] if forgotten else []
    broken = " or ".join([dataset.broken_sql(layout.present), *(f"({condition})" for condition, _ in conditions)])
    reasons = [f"case when {condition} then {reason} end" for condition, reason in conditions]
    reason = f"concat_ws('; ', {', '.join([dataset.breaches_sql(layout.present), *reasons])})"
    is_blank = " and ".join(f"{quote_identifier(name)} is null" for name in column_names(layout))
    row_json = row_json_sql(layout.present) if layout.format == "parquet" else "cast(null as varchar)"
    connection.execute(
        f"create or replace temp table broken as select batch_id, source_row, null::varchar as row_json, "
        f"null::varchar as reason from {staged} where {broken}"
    )
    if not is_empty(connection, "broken"):  # planning the reasons of a wide contract takes a second
        connection.execute(
            f"create or replace temp table broken as select batch_id, source_row, {row_json} as row_json, "
            f"case when not ({is_blank}) then {reason} end as reason "
            f"from {staged} as staged_rows semi join broken using (batch_id, source_row)"
        )
    broken_batches = connection.execute("select distinct batch_id from broken where reason is not null").fetchall()
    for examined in group:
        if (examined.batch_id,) in broken_batches:
            _quarantine_with_text(connection, examined)
    connection.execute(
        "insert into ops.rejected_rows "
        "select $dataset, batch_id, file, source_row, if(contains(reason, $forgotten), $forgotten, reason), "
        "if(contains(reason, $forgotten), null, text) from quarantine join files_of_group using (batch_id) "
        "order by batch_id, source_row",
        {"dataset": dataset.name, "forgotten": REASON},
    )
    return doubts


def is_empty(connection: duckdb.DuckDBPyConnection, rows: str) -> bool:
    """Return whether there are no rows in `rows`, SQL of a table or of a table with its conditions."""
    return connection.execute(f"select exists (from {rows})").fetchone() == (False,)


def _doubts(connection: duckdb.DuckDBPyConnection, dataset: Dataset, layout: Layout, staged: str) -> Doubts:
    """Return the doubtful numbers of files that store numbers as text, and the amounts that will be rounded.

    The reader of workbooks finds doubtful numbers itself.
    """
    typed = {*layout.floats, *layout.decimals}
    numbers = [] if layout.format == "xlsx" else [index for index in layout.numeric if index not in typed]
    names = [name for index in numbers if (name := layout.header[index]) is not None]
    semicolons = layout.format == "csv" and layout.delimiter == ";"
    doubts = find_doubts(connection, staged, names, separated_by_semicolons=semicolons)
    money = [name for name in layout.present if name in dataset.money]
    return replace(doubts, rounded=rounded_amounts(connection, staged, money))


def _too_long(layout: Layout, limits: Limits) -> list[tuple[str, str]]:
    names = column_names(layout)
    longest = f"greatest({', '.join(f'strlen({quote_identifier(name)})' for name in names)}, 0)"
    return [(f"{longest} > {limits.cell_bytes}", quote_literal(f"a cell is longer than {limits.cell_bytes:,} bytes"))]


def row_json_sql(present: Sequence[str]) -> str:
    """Return the SQL of a row as a JSON object."""
    pairs = ", ".join(f"{quote_literal(name)}, {quote_identifier(name)}" for name in present)
    return f"cast(json_object({pairs}) as varchar)"


def _quarantine_with_text(connection: duckdb.DuckDBPyConnection, examined: Examined) -> None:
    """Quarantine a batch's broken rows with their verbatim text, read from the file again; as JSON for Parquet."""
    layout = layout_of(examined)
    if layout.format == "parquet":
        connection.execute(
            "insert into quarantine select batch_id, source_row, reason, row_json from broken "
            "where batch_id = ? and reason is not null",
            [examined.batch_id],
        )
        return
    rows = np.asarray(
        connection.execute(
            "select source_row from broken where batch_id = ? and reason is not null order by source_row",
            [examined.batch_id],
        ).fetchnumpy()["source_row"]
    )
    found = 0
    for records in chunks(read_records(examined.file, layout)):
        first, last = np.searchsorted(rows, [records[0].row, records[-1].row + 1])
        if first == last:
            continue
        here = rows[first:last].tolist()
        found_reasons = connection.execute(
            "select reason from broken where batch_id = ? and reason is not null and source_row between ? and ? "
            "order by source_row",
            [examined.batch_id, here[0], here[-1]],
        ).fetchall()
        texts = {record.row: record.text for record in records}
        append_to_quarantine(
            connection, examined.batch_id, here, [reason for (reason,) in found_reasons], [texts[row] for row in here]
        )
        found += len(here)
    if found != len(rows):
        raise RuntimeError(
            f"{examined.file.name}: {len(rows):,} rows break the contract but only {found:,} were found in the file"
        )
