"""A warehouse with an empty table of orders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from quintet.ingest.raw_tables import prepare
from quintet.warehouse.database import open_warehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a prepared warehouse with an empty table of orders."""
    with open_warehouse(
        tmp_path / "warehouse.duckdb", memory_limit="1GB", threads=2, lock_wait_seconds=0
    ) as connection:
        prepare(connection, [])
        connection.execute("create table raw.orders (order_id varchar)")
        yield connection
