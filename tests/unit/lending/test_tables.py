"""Lending's tables in the warehouse: typed, whole, and there though no stream has written yet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest
from obstore.store import MemoryStore

from quintet.changelog.change import Position
from quintet.changelog.log import Epoch, Stretch, write_epoch, write_stretch
from quintet.lending.headline import headline
from quintet.lending.registry import features
from quintet.lending.tables import client_features, training_rows, write_client_features, write_training_set
from tests.lending.events import change

_AS_OF = date(2020, 8, 23)
_EPOCH = Epoch("E", Position(0), Position(1), "2020-01-01T00:00:00.000000Z", "1")
_LOAN = {
    "client_id": 7, "amount": 100.0, "created_on": "2020-08-01", "status": "paid", "updated_on": "2020-08-20",
}  # fmt: skip


@pytest.fixture
def log() -> MemoryStore:
    store = MemoryStore()
    changes = [
        change(1, "user", 7, {"created_on": "2020-01-01", "birth_date": None}),
        change(2, "user", 9, {"created_on": "2020-01-01", "birth_date": None}),
        change(3, "loan", 1, _LOAN)._replace(operation="insert"),
        change(4, "loan", 2, {**_LOAN, "client_id": 8})._replace(operation="insert"),
    ]
    write_stretch(store, Stretch("E", Position(0), Position(5)), changes)
    write_epoch(store, _EPOCH)
    return store


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("create schema ml; create schema marts")
        yield connection


def test_every_client_of_the_crm_has_a_row_and_nobody_else(log: MemoryStore, tmp_path: Path) -> None:
    rows = client_features(tmp_path, log, _EPOCH, features(), _AS_OF)
    assert rows["client_id"].tolist() == [7, 9]
    assert rows["paid_loans_count"].tolist() == [1, 0]


def test_a_second_run_applies_only_what_came_since(log: MemoryStore, tmp_path: Path) -> None:
    client_features(tmp_path, log, _EPOCH, features(), _AS_OF)
    more = [change(6, "loan", 3, _LOAN)]
    write_stretch(log, Stretch("E", Position(5), Position(7)), more)
    rows = client_features(tmp_path, log, _EPOCH, features(), _AS_OF)
    assert rows["paid_loans_count"].tolist() == [2, 0]


def test_nulls_and_types_survive_into_the_warehouse(
    log: MemoryStore, tmp_path: Path, warehouse: duckdb.DuckDBPyConnection
) -> None:
    write_client_features(warehouse, client_features(tmp_path, log, _EPOCH, features(), _AS_OF), features())
    row = warehouse.execute(
        "select as_of, profit_in_last_90_days_rate, days_since_last_late_payment, typeof(paid_loans_count) "
        "from ml.client_features where client_id = 7"
    ).fetchall()
    assert row == [(_AS_OF, 0.0, None, "DOUBLE")]
    write_training_set(warehouse, training_rows(log, _EPOCH, features()), features())
    found = warehouse.execute("select application_id, as_of, seen_by, outcome from ml.lending_training_set").fetchall()
    assert sorted(found) == [(1, date(2020, 8, 1), "stream", "repaid"), (2, date(2020, 8, 1), "stream", "repaid")]


def test_without_a_log_the_tables_are_empty_and_the_summary_says_so(
    tmp_path: Path, warehouse: duckdb.DuckDBPyConnection
) -> None:
    assert headline(warehouse) == "no data"
    write_client_features(warehouse, client_features(tmp_path, None, None, features(), _AS_OF), features())
    write_training_set(warehouse, training_rows(None, None, features()), features())
    assert warehouse.execute("select count(*) from ml.lending_training_set").fetchall() == [(0,)]
    warehouse.execute("create view marts.fct_client_features as from ml.client_features")
    assert "make stream" in headline(warehouse)


def test_the_summary_counts_clients_with_paid_loans(
    log: MemoryStore, tmp_path: Path, warehouse: duckdb.DuckDBPyConnection
) -> None:
    write_client_features(warehouse, client_features(tmp_path, log, _EPOCH, features(), _AS_OF), features())
    warehouse.execute("create view marts.fct_client_features as from ml.client_features")
    expected = "2 clients as of 2020-08-23: 1 with a paid loan (1 loans in all), 0 were ever late"
    assert headline(warehouse) == expected
