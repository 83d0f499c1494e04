"""Fixtures for the tests of ingestion: a small contract, and an inbox with a separate warehouse."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandera.pandas as pa
import pytest

from quintet.ingest.batches import Outcome
from quintet.ingest.contract import Dataset, integer, number, text, timestamp
from quintet.ingest.inbox import InboxFile, list_inbox
from quintet.ingest.load import load_files
from quintet.ingest.raw_tables import prepare
from quintet.warehouse.database import open_warehouse
from tests.unit.ingest.order_files import assert_books_balance

NOW = dt.datetime(2024, 6, 1, 12)

ORDERS = Dataset(
    name="orders",
    domain="shop",
    description="What was ordered.",
    schema=pa.DataFrameSchema(
        {
            "order_id": integer("The order.", 0),
            "ordered_at": timestamp("When."),
            "amount": number("What it cost.", 0, missing=("#REF!",), nullable=True),
            "pieces": integer("How many.", 1, 100, aliases=("f0_", "f1", "F1", "count")),
            "note": text("What the customer wrote.", nullable=True, required=False),
        },
        name="orders",
    ),
    key=("order_id",),
)

HEADER = "order_id,ordered_at,amount,pieces,note\n"


@dataclass(frozen=True)
class Shop:
    """An inbox of orders, and the warehouse that it is loaded into."""

    raw: Path
    connection: duckdb.DuckDBPyConnection
    dataset: Dataset = ORDERS

    @property
    def inbox(self) -> Path:
        return self.raw / self.dataset.name

    def put(self, name: str, content: str | bytes) -> Path:
        """Write a file into the inbox."""
        path = self.inbox / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def load(self, files: Sequence[InboxFile] | None = None) -> list[Outcome]:
        listed = list_inbox(self.raw, self.dataset.name) if files is None else files
        return load_files(self.connection, self.dataset, listed, NOW, lambda _: None)

    def rows(self, columns: str = "order_id, ordered_at, amount, pieces, note") -> list[tuple[object, ...]]:
        """Return the raw rows, by file and row."""
        return self.connection.execute(
            f"select {columns} from raw.orders order by _source_file, _source_row"
        ).fetchall()

    def rejected(self) -> list[tuple[object, ...]]:
        """Return (row, reason, text) of the quarantined rows, by file and row."""
        return self.connection.execute(
            "select source_row, reason, text from ops.rejected_rows order by file, source_row"
        ).fetchall()


@pytest.fixture
def orders() -> Dataset:
    return ORDERS


@pytest.fixture
def header() -> str:
    return HEADER


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a prepared warehouse with an empty table of orders."""
    with open_warehouse(
        tmp_path / "warehouse.duckdb", memory_limit="1GB", threads=2, lock_wait_seconds=0
    ) as connection:
        prepare(connection, [ORDERS])
        yield connection


@pytest.fixture
def shop(tmp_path: Path, warehouse: duckdb.DuckDBPyConnection) -> Shop:
    (tmp_path / "raw" / "orders").mkdir(parents=True)
    return Shop(tmp_path / "raw", warehouse)


@pytest.fixture
def balanced(warehouse: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Check after the test that each row of the inbox is loaded or quarantined, once."""
    yield
    assert_books_balance(warehouse)
