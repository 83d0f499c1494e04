"""The warehouse resource always releases its file."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from resources.warehouse import Warehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(
        database=str(tmp_path / "warehouse.duckdb"),
        memory_limit="500MB",
        threads=1,
        lock_wait_seconds=0,
        snapshots_kept=3,
    )


def test_a_body_that_raises_leaves_the_file_closed(warehouse: Warehouse) -> None:
    with pytest.raises(RuntimeError, match="half-way"), warehouse.get_connection():
        raise RuntimeError("half-way")
    # one process cannot have a read-only and a writing connection, so this opens only if the other was closed
    with duckdb.connect(warehouse.database, read_only=True) as reader:
        assert reader.execute("select count(*) from ops.batches").fetchone() == (0,)


def test_an_open_writer_would_be_noticed(warehouse: Warehouse) -> None:
    with warehouse.get_connection(), pytest.raises(duckdb.ConnectionException):
        duckdb.connect(warehouse.database, read_only=True)
