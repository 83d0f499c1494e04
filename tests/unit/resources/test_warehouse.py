"""The warehouse resource always releases its file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import duckdb
import pytest

from quintet.domains import DATASETS
from quintet.ingest import raw_tables
from quintet.ingest.contract import Dataset
from quintet.ingest.raw_tables import preparation
from quintet.warehouse.built import forget_built
from resources import warehouse as module
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


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with each preparation of the warehouse."""
    times: list[int] = []
    original = raw_tables.prepare

    def prepare(connection: duckdb.DuckDBPyConnection, datasets: Iterable[Dataset]) -> None:
        times.append(1)
        original(connection, datasets)

    monkeypatch.setattr(raw_tables, "prepare", prepare)
    return times


def test_a_warehouse_is_prepared_once(warehouse: Warehouse, prepared: list[int]) -> None:
    for _ in range(2):
        with warehouse.get_connection() as connection:
            assert connection.execute("select count(*) from raw.conversions").fetchone() == (0,)
    assert len(prepared) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda connection: connection.execute("drop table raw.conversions"),
        lambda connection: connection.execute("drop table ops.built"),
        forget_built,
    ],
)
def test_a_warehouse_that_lacks_something_is_prepared_again(
    change: Callable[[duckdb.DuckDBPyConnection], object], warehouse: Warehouse, prepared: list[int]
) -> None:
    with warehouse.get_connection() as connection:
        change(connection)
    with warehouse.get_connection() as connection:
        assert connection.execute("select count(*) from raw.conversions").fetchone() == (0,)
    assert len(prepared) == 2


def test_a_warehouse_of_another_version_is_prepared_again(
    warehouse: Warehouse, prepared: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with warehouse.get_connection():
        pass
    monkeypatch.setattr(module, "_version", lambda: "another")
    with warehouse.get_connection():
        pass
    assert len(prepared) == 2


def test_the_version_changes_with_the_contracts() -> None:
    datasets = list(DATASETS.values())
    assert preparation(datasets) == preparation(datasets)
    assert preparation(datasets) != preparation(datasets[1:])
