"""The headline of lending in the summary of a run."""

from typing import Any

import duckdb

from quintet.presentation.wording import counted


def headline(marts: duckdb.DuckDBPyConnection) -> str:
    """Summarise clients with a paid loan, clients with late payments, and the decisions of open applications."""
    if not has_clients(marts):
        return "no data; drop a PostgreSQL dump into the inbox loan_book"
    ((clients, as_of, with_paid, paid, late),) = marts.execute(
        "select count(*), max(as_of), count(*) filter (paid_loans_count > 0), sum(paid_loans_count), "
        "count(days_since_last_late_payment) from marts.fct_client_features"
    ).fetchall()
    decisions = _rows(marts, "select decision, count(*) from marts.fct_application_decisions group by all order by all")
    no_model = _rows(marts, "select why from ml.lending_model_training where model_version is null")
    decided = ", ".join(f"{count:,} {decision}" for decision, count in decisions)
    return (
        f"{counted(clients, 'client')} as of {as_of}: {with_paid:,} with a paid loan "
        f"({counted(int(paid), 'loan')} in all), "
        f"{late:,} were ever late; open applications: {decided or 'none'}"
        + (f" (no scoring model: {no_model[0][0]})" if no_model else "")
    )


def has_clients(marts: duckdb.DuckDBPyConnection) -> bool:
    """Return whether there is a loan book."""
    return bool(_rows(marts, "select 1 from marts.fct_client_features limit 1"))


def _rows(marts: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query; none if its table is not built yet."""
    try:
        return marts.execute(query).fetchall()
    except duckdb.CatalogException:
        return []
