"""Preparing the warehouse creates what is missing, and only that."""

from __future__ import annotations

from dataclasses import replace

import duckdb

from quintet.ingest.contract import Dataset, text
from quintet.ingest.raw_tables import prepare


def test_preparing_twice_changes_nothing(warehouse: duckdb.DuckDBPyConnection, orders: Dataset):
    warehouse.execute("insert into raw.orders (order_id) values ('1')")
    everything = "select * exclude (table_oid, column_index) from duckdb_columns() order by all"
    before = warehouse.execute(everything).fetchall()

    prepare(warehouse, [orders])

    assert warehouse.execute(everything).fetchall() == before
    assert warehouse.execute("select order_id from raw.orders").fetchall() == [("1",)]


def test_a_contract_that_gains_a_column_gains_it_in_its_table(warehouse: duckdb.DuckDBPyConnection, orders: Dataset):
    warehouse.execute("insert into raw.orders (order_id, _source_row) values ('1', 1)")

    prepare(warehouse, [replace(orders, schema=orders.schema.add_columns({"new one": text("", nullable=True)}))])

    assert warehouse.execute('select order_id, _source_row, "new one" from raw.orders').fetchall() == [("1", 1, None)]


def test_an_older_warehouse_gains_the_columns_of_provenance(warehouse: duckdb.DuckDBPyConnection, orders: Dataset):
    warehouse.execute("alter table raw.orders drop column _extra")

    prepare(warehouse, [orders])

    assert warehouse.execute("select _extra from raw.orders").fetchall() == []
