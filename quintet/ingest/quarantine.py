"""Quarantine rows that break the contract, or cannot be split into cells, with their reason and verbatim text."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np
import pyarrow as pa

from quintet.ingest.contract import Dataset
from quintet.ingest.examine import Examined, layout_of
from quintet.ingest.records import chunks, read_records
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
) -> None:
    """Write the staged rows that break the contract, and those that could not be split, to `ops.rejected_rows`."""
    present = layout_of(group[0]).present
    connection.execute(
        "create or replace temp table broken as "
        f"select batch_id, source_row, {dataset.breaches_sql(present)} as reason, "
        f"{_row_json_sql(present)} as row_json from {staged} where {dataset.broken_sql(present)}"
    )
    batches = {batch_id for (batch_id,) in connection.execute("select distinct batch_id from broken").fetchall()}
    for examined in group:
        if examined.batch_id in batches:
            _quarantine_with_text(connection, examined)
    connection.execute(
        "insert into ops.rejected_rows "
        "select ?, batch_id, file, source_row, reason, text from quarantine join files_of_group using (batch_id) "
        "order by batch_id, source_row",
        [dataset.name],
    )


def _row_json_sql(present: Sequence[str]) -> str:
    pairs = ", ".join(f"{quote_literal(name)}, {quote_identifier(name)}" for name in present)
    return f"cast(json_object({pairs}) as varchar)"


def _quarantine_with_text(connection: duckdb.DuckDBPyConnection, examined: Examined) -> None:
    """Quarantine a batch's broken rows with their verbatim text, read from the file again; as JSON for Parquet."""
    layout = layout_of(examined)
    if layout.format == "parquet":
        connection.execute(
            "insert into quarantine select batch_id, source_row, reason, row_json from broken where batch_id = ?",
            [examined.batch_id],
        )
        return
    broken = connection.execute(
        "select source_row, reason from broken where batch_id = ? order by source_row", [examined.batch_id]
    ).fetchnumpy()
    rows, reasons, found = np.asarray(broken["source_row"]), np.asarray(broken["reason"]), 0
    for records in chunks(read_records(examined.file, layout)):
        first, last = np.searchsorted(rows, [records[0].row, records[-1].row + 1])
        texts = {record.row: record.text for record in records}
        append_to_quarantine(
            connection,
            examined.batch_id,
            rows[first:last].tolist(),
            reasons[first:last].tolist(),
            [texts[row] for row in rows[first:last].tolist()],
        )
        found += int(last - first)
    if found != len(rows):
        raise RuntimeError(
            f"{examined.file.name}: {len(rows):,} rows break the contract but only {found:,} were found in the file"
        )
