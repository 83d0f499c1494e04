"""The one sentence about lending in the summary of a run.

Belongs here: the domain's key result, read from the published tables.
"""

import duckdb


def headline(marts: duckdb.DuckDBPyConnection) -> str:
    """Clients with a paid loan and clients who were ever late; "no data" where no stream has written yet."""
    try:
        ((clients, as_of, with_paid, paid, late),) = marts.execute(
            "select count(*), max(as_of), count(*) filter (paid_loans_count > 0), sum(paid_loans_count), "
            "count(days_since_last_late_payment) from marts.fct_client_features"
        ).fetchall()
    except duckdb.CatalogException:  # the domain was not built yet
        return "no data"
    if not clients:
        return "no data; its rows come from a change stream: `make stream`"
    return (
        f"{clients:,} clients as of {as_of}: {with_paid:,} with a paid loan ({int(paid):,} loans in all), "
        f"{late:,} were ever late"
    )
