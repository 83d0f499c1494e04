"""Files of orders, for the tests of ingestion."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq


def lines(first: int, count: int, note: str = "x") -> str:
    return "".join(f"{n},2024-05-01 10:00:00,{n}.5,{n % 100 + 1},{note}\n" for n in range(first, first + count))


CELLS = [
    ("1", "2024-05-01 10:00:00", "1.5", "2", "Zürich"),
    ("2", "2024-05-02 11:30:00", None, "3", None),
    ("3", "2024-05-03 00:00:00", "0.25", "100", '  "quoted"  '),
]


def write_workbook(path: Path) -> None:
    workbook = openpyxl.Workbook()
    workbook.active.append(["order_id", "ordered_at", "amount", "pieces", "note"])
    for order_id, at, amount, pieces, note in CELLS:
        moment = dt.datetime.fromisoformat(str(at))
        workbook.active.append([int(str(order_id)), moment, amount and float(amount), int(str(pieces)), note])
    workbook.save(path)


def write_parquet_of_text(path: Path) -> None:
    columns = [[cell or "" for cell in column] for column in zip(*CELLS, strict=True)]
    pq.write_table(pa.table(columns, ["order_id", "ordered_at", "amount", "pieces", "note"]), path)


def write_parquet_of_types(path: Path) -> None:
    columns: Any = list(zip(*CELLS, strict=True))
    table = pa.table(
        {
            " Order ID ": [int(cell) for cell in columns[0]],
            "ordered_at": [dt.datetime.fromisoformat(cell) for cell in columns[1]],
            "amount": [cell and float(cell) for cell in columns[2]],
            "count": pa.array([int(cell) for cell in columns[3]], pa.int8()),
            "note": list(columns[4]),
        }
    )
    pq.write_table(table, path, row_group_size=2)


def assert_books_balance(connection: duckdb.DuckDBPyConnection) -> None:
    """Assert that every batch has the number of rows in its record."""
    off = connection.execute(
        "select batch_id from ops.batches as batches where rows != loaded + rejected "
        "or loaded != (select count(*) from raw.orders where _batch_id = batches.batch_id) "
        "or rejected != (select count(*) from ops.rejected_rows where batch_id = batches.batch_id)"
    ).fetchall()
    assert off == []
