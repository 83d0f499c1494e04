"""Each check of the raw tables passes after a load, and fails on the faults that it checks for."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from quintet.domains import DATASETS
from quintet.ingest.checks import check_reconciliation, check_schema
from quintet.ingest.raw_tables import prepare


@pytest.fixture
def loaded(shop: Any, header: str) -> Any:
    shop.put("a.csv", header + "1,2024-05-01,1,1,x\n2,2024-05-01,#REF!,1,\n3,never,1,1,x\n")
    shop.put("b.csv", "order_id,ordered_at,amount,pieces\n4,2024-05-01,,1\n")
    shop.put("c.csv", "unreadable\n")
    shop.load()
    return shop


def test_a_table_after_a_load_holds_its_contract(loaded: Any):
    outcome = check_schema(loaded.connection, loaded.dataset)

    assert outcome.passed
    assert dict(outcome.figures) == {"rows that break the contract": 0}


@pytest.mark.parametrize(
    "change",
    ["amount = '1,234'", "ordered_at = '2024-02-30'", "order_id = null", "pieces = '0'"],
)
def test_a_value_that_breaks_the_contract_is_found(loaded: Any, change: str):
    loaded.connection.execute(f"update raw.orders set {change} where order_id = '1'")

    outcome = check_schema(loaded.connection, loaded.dataset)

    assert not outcome.passed
    assert outcome.description == "1 row against the contract"


def test_a_column_that_was_dropped_is_found(loaded: Any):
    loaded.connection.execute("alter table raw.orders drop column note")

    outcome = check_schema(loaded.connection, loaded.dataset)

    assert not outcome.passed
    assert outcome.description == "columns differ from the contract: note"


def test_a_column_that_was_added_is_found(loaded: Any):
    loaded.connection.execute("alter table raw.orders add column stray integer")

    assert check_schema(loaded.connection, loaded.dataset).figures == {"columns": "stray"}


def test_a_column_of_another_type_is_found(loaded: Any):
    loaded.connection.execute("alter table raw.orders alter column pieces type integer")

    assert check_schema(loaded.connection, loaded.dataset).figures == {"columns": "pieces"}


@pytest.mark.parametrize("name", DATASETS)
def test_every_real_contract_can_be_checked(warehouse: duckdb.DuckDBPyConnection, name: str):
    prepare(warehouse, [DATASETS[name]])

    assert check_schema(warehouse, DATASETS[name]).passed
    assert check_reconciliation(warehouse, DATASETS[name]).passed


def test_a_broken_value_in_an_optional_column_is_found(warehouse: duckdb.DuckDBPyConnection):
    prepare(warehouse, [DATASETS["transactions"]])
    row = "insert into raw.transactions (time, timestamp, status, count) values"
    warehouse.execute(f"{row} ('15h 07', null, 'approved', '1'), (null, '2024-05-01 15:07:00', 'approved', '1')")
    assert check_schema(warehouse, DATASETS["transactions"]).passed

    warehouse.execute(f"{row} ('24h 61', null, 'approved', '1'), (null, null, 'approved', '1')")

    assert check_schema(warehouse, DATASETS["transactions"]).figures == {"rows that break the contract": 2}


def test_books_balance_after_a_load(loaded: Any):
    assert check_reconciliation(loaded.connection, loaded.dataset).passed


@pytest.mark.parametrize(
    "change",
    [
        "delete from raw.orders where order_id = '1'",
        "insert into raw.orders by name select * from raw.orders where order_id = '1'",
        "insert into raw.orders (order_id, _batch_id) values ('9', 'nobody knows')",
        "delete from ops.rejected_rows",
        "insert into ops.rejected_rows select * from ops.rejected_rows",
        "insert into ops.rejected_rows values ('orders', 'nobody knows', 'x.csv', 1, 'x', 'x')",
        "update ops.batches set rows = rows + 1 where file = 'a.csv'",
        "update ops.batches set rows = 7, loaded = 7 where file = 'c.csv'",
        "delete from ops.batches where file = 'b.csv'",
    ],
)
def test_books_that_do_not_balance_are_found(loaded: Any, change: str):
    loaded.connection.execute(change)

    outcome = check_reconciliation(loaded.connection, loaded.dataset)

    assert not outcome.passed
    assert outcome.description.startswith("batches that do not add up: ")
    assert outcome.figures == {"batches that do not add up": 1}


def test_what_is_wrong_in_another_dataset_does_not_count(loaded: Any):
    loaded.connection.execute(
        "insert into ops.rejected_rows values ('others', 'x', 'x.csv', 1, 'x', 'x'); "
        "insert into ops.batches by name select * replace ('others' as dataset, rows + 1 as rows) from ops.batches"
    )

    assert check_reconciliation(loaded.connection, loaded.dataset).passed
