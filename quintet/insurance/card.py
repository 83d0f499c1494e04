"""Insurance on the overview."""

import duckdb

from quintet.domain import Card


def card(marts: duckdb.DuckDBPyConnection) -> Card:
    """Return the written premium of the last complete year against the year before."""
    rows = marts.execute("""
        select
            year,
            sum(written_premium)::double,
            (sum(incurred_losses) filter (where written_premium is not null)
                / nullif(sum(written_premium) filter (where incurred_losses is not null), 0))::double
        from marts.fct_agency_performance
        join marts.dim_year using (year)
        where is_complete
        group by year
        order by year
    """).fetchall()
    if not rows:
        return Card("Written premium", None, "money", state="no complete year")
    premium = {year: amount for year, amount, _ in rows}
    year, amount, ratio = rows[-1]
    before = premium.get(year - 1)
    is_losing = ratio is not None and ratio >= 1
    return Card(
        f"Written premium {year}",
        amount,
        "money",
        unit="USD",
        change=amount / before - 1 if amount is not None and before and before > 0 else None,
        change_against=f"against {year - 1}",
        better=True,
        trend=list(premium.values()),
        basis="the last complete year",
        state="no loss ratio" if ratio is None else f"loss ratio {ratio:.0%}",
        weight="warning" if is_losing else "none",
    )
