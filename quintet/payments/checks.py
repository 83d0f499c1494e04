"""Checks of the tables of payments after a build."""

from __future__ import annotations

import duckdb

from quintet.ingest.checks import CheckOutcome
from quintet.ingest.conservation import Path, rows_are_kept

_PATHS = (
    Path("transactions", "staging.stg_transactions", "intermediate.int_transactions_current"),
    Path(
        "checkout_sales",
        "staging.stg_checkout_sales",
        "intermediate.int_checkout_sales_current",
        "marts.fct_checkout_hours",
    ),
)


def rows_kept(connection: duckdb.DuckDBPyConnection) -> CheckOutcome:
    """Check that no row of the files is lost."""
    return rows_are_kept(connection, _PATHS)
