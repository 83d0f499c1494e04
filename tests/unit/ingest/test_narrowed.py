"""A contract that becomes narrower quarantines the rows that were loaded before, and stops nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import duckdb
import pandera.pandas as pa

from quintet.ingest.checks import check_reconciliation, check_schema
from quintet.ingest.contract import Dataset, integer
from quintet.ingest.load import load_files
from quintet.ingest.narrowed import quarantine_by_new_contract
from tests.unit.ingest.conftest import NOW
from tests.unit.ingest.order_files import assert_books_balance, lines


def narrower(dataset: Dataset, most: int) -> Dataset:
    """Return the dataset with fewer pieces allowed."""
    columns: dict[str, pa.Column] = dict(dataset.schema.columns) | {"pieces": integer("How many.", 1, most)}
    return replace(dataset, schema=pa.DataFrameSchema(columns, name="orders"))


def test_rows_that_a_narrower_contract_refuses_are_quarantined(shop: Any, header: str):
    shop.put("a.csv", header + lines(1, 20))
    shop.put("b.csv", header + lines(30, 1) + "31,never,1,1,x\n")
    shop.load()
    reported: list[str] = []

    load_files(shop.connection, narrower(shop.dataset, 11), [], NOW, reported.append)

    assert reported == ["orders: 11 rows loaded before break the contract of today and are quarantined"]
    assert shop.rows("order_id")[-1] == ("10",)
    reason, text = shop.rejected()[0][1:]
    assert reason == "pieces must be a whole number from 1 to 11, not '12'"
    assert text.startswith('{"order_id":"11"')
    assert check_schema(shop.connection, narrower(shop.dataset, 11)).passed
    assert check_reconciliation(shop.connection, shop.dataset).passed
    assert_books_balance(shop.connection)


def test_the_same_contract_or_a_wider_one_moves_nothing(shop: Any, header: str, warehouse: duckdb.DuckDBPyConnection):
    shop.put("a.csv", header + lines(1, 20))
    shop.load()

    assert [quarantine_by_new_contract(warehouse, narrower(shop.dataset, most)) for most in (100, 100, 200)] == [
        0,
        0,
        0,
    ]
    assert len(shop.rows()) == 20
