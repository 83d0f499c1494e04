"""What a publication would lose: tables that are gone, most rows of a table, files whose rows are gone."""

from __future__ import annotations

import duckdb
import pytest

from quintet.warehouse.domain_states import DomainBuild
from quintet.warehouse.losses import FEW_ROWS, losses

BUILD = DomainBuild(
    "shop",
    tables=frozenset({"marts.fct_orders", "marts.dim_customers"}),
    keeping=frozenset({"marts.fct_orders"}),
    datasets=frozenset({"orders"}),
)


@pytest.fixture
def connection(warehouse: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Return a warehouse with two tables and one loaded file, and the snapshot `former` with the same."""
    warehouse.execute(
        "attach ':memory:' as former; create schema former.marts;"
        "create table former.marts.fct_orders as from range(1000);"
        "create table former.marts.dim_customers as from range(1000);"
        "create table former.marts.ops_batches as select 'orders' as dataset, 'o.csv' as file, '1' as batch_id, "
        "'loaded' as status; create table marts.fct_orders as from range(1000);"
        "create table marts.dim_customers as from range(1000)"
    )
    columns = [name for name, *_ in warehouse.execute("describe ops.batches").fetchall()]
    given = {"batch_id": "1", "dataset": "orders", "file": "o.csv", "status": "loaded"}
    values = ", ".join(f"'{given[name]}'" if name in given else "null" for name in columns)
    warehouse.execute(f"create or replace table ops.batches as select {', '.join(columns)} from ops.batches limit 0")
    warehouse.execute(f"insert into ops.batches select {values}")
    return warehouse


def test_nothing_is_lost_where_all_is_there(connection: duckdb.DuckDBPyConnection) -> None:
    assert losses(connection, BUILD, "former") == []


def test_a_table_that_is_gone_is_named_whatever_it_held(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("drop table marts.dim_customers")

    assert losses(connection, BUILD, "former") == ["the table marts.dim_customers is gone"]


@pytest.mark.parametrize(("kept", "is_lost"), [(500, False), (499, True), (0, True)])
def test_a_table_that_keeps_less_than_half_of_its_rows_is_named(
    connection: duckdb.DuckDBPyConnection, kept: int, is_lost: bool
) -> None:
    connection.execute("delete from marts.fct_orders where range >= ?", [kept])

    expected = [f"marts.fct_orders has {kept:,} rows instead of 1,000"] if is_lost else []
    assert losses(connection, BUILD, "former") == expected


def test_a_table_that_may_shrink_or_was_small_is_not_named(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("delete from marts.dim_customers")
    connection.execute("delete from marts.fct_orders")
    connection.execute("delete from former.marts.fct_orders where range >= ?", [FEW_ROWS - 1])

    assert losses(connection, BUILD, "former") == []


@pytest.mark.parametrize("how", ["delete from ops.batches", "update ops.batches set status = 'rejected'"])
def test_a_loaded_file_whose_rows_are_gone_is_named(connection: duckdb.DuckDBPyConnection, how: str) -> None:
    connection.execute(how)

    (loss,) = losses(connection, BUILD, "former")
    assert loss == "the rows of 1 file are gone, which are no longer in their inboxes: orders/o.csv"


def test_of_many_lost_files_the_first_are_named_and_the_rest_counted(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("delete from ops.batches")
    connection.execute(
        "insert into former.marts.ops_batches "
        "select 'orders', 'p' || n || '.csv', 'p' || n, 'loaded' from range(7) r(n)"
    )

    (loss,) = losses(connection, BUILD, "former")
    assert "the rows of 8 files are gone" in loss
    assert loss.endswith("orders/p0.csv, orders/p1.csv, orders/p2.csv, orders/p3.csv and 3 more")


def test_files_of_another_business_are_not_its_loss(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("update former.marts.ops_batches set dataset = 'parcels'; delete from ops.batches")

    assert losses(connection, BUILD, "former") == []
