"""The one sentence about insurance in the summary of a run."""

import duckdb


def headline(marts: duckdb.DuckDBPyConnection) -> str:
    """Return agencies, premium, losses and loss ratio of the snapshot `marts`; "no data" where there is none."""
    try:
        agencies, without_master = marts.execute(
            "select count(*), count(*) filter (primary_agency_id is null) from marts.dim_agency"
        ).fetchall()[0]
        premium_usd, losses_usd = marts.execute(
            "select sum(written_premium), sum(incurred_losses) from marts.fct_agency_performance"
        ).fetchall()[0]
    except duckdb.CatalogException:  # the domain was not built yet
        return "no data"
    if premium_usd is None or losses_usd is None:
        return "no data"
    ratio = f"loss ratio {float(losses_usd) / float(premium_usd):.3f}" if premium_usd > 0 else "no loss ratio"
    return (
        f"{agencies:,} agencies ({without_master:,} with an unknown master), "
        f"written premium {premium_usd:,.2f} USD, losses {losses_usd:,.2f} USD, {ratio}"
    )
