"""The one sentence about parcels in the summary of a run."""

import duckdb


def headline(marts: duckdb.DuckDBPyConnection) -> str:
    """Return how many parcels each carrier took how long for; "no data" where there is none."""
    try:
        rows = marts.execute("select carrier, median_days from marts.fct_carrier_delays order by carrier").fetchall()
    except duckdb.CatalogException:  # not built yet
        rows = []
    return "; ".join(f"{carrier}: {days:.1f} days" for carrier, days in rows) or "no data"
