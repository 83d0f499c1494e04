"""Opening the warehouse waits for its lock, and prepares its tables."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from quintet.warehouse.database import WarehouseBusyError, open_warehouse, transaction
from tests.waiting import LONG_SECONDS

HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_by_another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield holder
        finally:
            holder.kill()


def opened(path: Path, lock_wait_seconds: float = 0):
    return open_warehouse(path, memory_limit="1GB", threads=1, lock_wait_seconds=lock_wait_seconds)


def test_a_warehouse_in_use_names_the_process_that_uses_it(tmp_path: Path):
    path = tmp_path / "warehouse.duckdb"
    with (
        held_by_another_process(path) as holder,
        pytest.raises(WarehouseBusyError) as busy,
        opened(path, lock_wait_seconds=0.2),
    ):
        pass

    assert f"{path} is in use by process {holder.pid}" in str(busy.value)
    assert "serving/current.duckdb" in str(busy.value)


def test_waiting_is_worth_it_once_the_holder_leaves(tmp_path: Path):
    path = tmp_path / "warehouse.duckdb"
    with held_by_another_process(path) as holder:

        def leave(_: float) -> None:
            holder.kill()
            holder.wait()

        with open_warehouse(
            path, memory_limit="1GB", threads=1, lock_wait_seconds=LONG_SECONDS, sleep=leave
        ) as connection:
            assert connection.execute("select 1").fetchall() == [(1,)]


def test_waiting_ends_after_the_time_that_was_set(tmp_path: Path):
    path = tmp_path / "warehouse.duckdb"
    pauses: list[float] = []
    with (
        held_by_another_process(path),
        pytest.raises(WarehouseBusyError),
        open_warehouse(path, memory_limit="1GB", threads=1, lock_wait_seconds=5, sleep=pauses.append),
    ):
        pass

    assert 5 <= sum(pauses) < 7
    assert max(pauses) <= 1


def test_another_error_is_not_taken_for_a_lock(tmp_path: Path):
    path = tmp_path / "locks" / "warehouse.duckdb"
    path.mkdir(parents=True)

    with pytest.raises(duckdb.IOException), opened(path, lock_wait_seconds=600):
        pass


def test_the_folder_of_the_warehouse_is_made(tmp_path: Path):
    with opened(tmp_path / "new" / "home" / "warehouse.duckdb"):
        pass

    assert (tmp_path / "new" / "home" / "warehouse.duckdb").exists()


def test_the_connection_is_closed_when_the_body_raises(tmp_path: Path):
    path = tmp_path / "warehouse.duckdb"
    with pytest.raises(ZeroDivisionError), opened(path) as connection:
        raise ZeroDivisionError

    with pytest.raises(duckdb.ConnectionException):
        connection.execute("select 1")
    with held_by_another_process(path):  # which only a file without a lock allows
        pass


def test_times_are_utc_wherever_the_machine_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        with opened(tmp_path / "warehouse.duckdb") as connection:
            zones = [
                one.execute("select current_setting('TimeZone')").fetchall()
                for one in (connection, connection.cursor())
            ]
    finally:
        monkeypatch.undo()
        time.tzset()

    assert zones == [[("UTC",)], [("UTC",)]]


def test_a_transaction_keeps_all_of_its_body(warehouse: duckdb.DuckDBPyConnection):
    with transaction(warehouse):
        warehouse.execute("insert into raw.orders (order_id) values ('1')")

    assert warehouse.execute("select count(*) from raw.orders").fetchall() == [(1,)]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_a_transaction_that_fails_keeps_nothing(warehouse: duckdb.DuckDBPyConnection, error: type[BaseException]):
    def fail() -> None:
        with transaction(warehouse):
            warehouse.execute("insert into raw.orders (order_id) values ('1')")
            raise error

    with pytest.raises(error):
        fail()

    assert warehouse.execute("select count(*) from raw.orders").fetchall() == [(0,)]


def test_a_transaction_raises_the_error_of_its_body(warehouse: duckdb.DuckDBPyConnection):
    with pytest.raises(duckdb.ConstraintException), transaction(warehouse):
        warehouse.execute("insert into ops.built values ('x', null)")

    warehouse.execute("insert into ops.built values ('x', '1')")
