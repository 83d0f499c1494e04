"""Parcels on the overview."""

import duckdb

from quintet.domain import Card


def card(marts: duckdb.DuckDBPyConnection) -> Card:
    """Return the median days of the slowest carrier."""
    rows = marts.execute("select carrier, median_days from marts.fct_carrier_delays order by median_days").fetchall()
    if not rows:
        return Card("Median days of a parcel", None, state="no parcel")
    carrier, days = rows[-1]
    return Card("Median days of a parcel", days, basis=f"the slowest carrier, {carrier}", better=False)
