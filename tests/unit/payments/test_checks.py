"""Rows of payments that are lost fail the check."""

from __future__ import annotations

import duckdb
import pytest

from quintet.payments.checks import rows_kept


@pytest.mark.parametrize(("loss", "passed"), [("", True), ("delete from marts.fct_checkout_hours", False)])
def test_every_checkout_hour_reaches_the_mart(loss: str, passed: bool) -> None:
    with duckdb.connect() as connection:
        for schema in ("raw", "staging", "intermediate", "marts"):
            connection.execute(f"create schema {schema}")
        for table in (
            *("raw.transactions", "staging.stg_transactions", "intermediate.int_transactions_current"),
            *("raw.checkout_sales", "staging.stg_checkout_sales", "intermediate.int_checkout_sales_current"),
            "marts.fct_checkout_hours",
        ):
            connection.execute(f"create table {table} as select n as hour, 'a' as _batch_id from range(24) r(n)")
        connection.execute(loss or "select 1")
        assert rows_kept(connection).passed is passed
