"""The one sentence about insurance in the summary of a run."""

import duckdb

from quintet.insurance.years import INCOMPLETE

_YEARS_NAMED = 3


def headline(marts: duckdb.DuckDBPyConnection) -> str:
    """Return agencies, premium, losses and loss ratio of the snapshot `marts`; "no data" where there is none.

    Years that are left out of stocks and forecast against expectation are named, with their rows and the reason.
    """
    try:
        agencies, without_master = marts.execute(
            "select count(*), count(*) filter (primary_agency_id is null) from marts.dim_agency"
        ).fetchall()[0]
        premium_usd, losses_usd = marts.execute(
            "select sum(written_premium), sum(incurred_losses) from marts.fct_agency_performance"
        ).fetchall()[0]
        doubtful = marts.execute("""
            select year, rows, case when incomplete_reason = 'short' then 'few_rows' else incomplete_reason end
            from marts.dim_year
            where incomplete_reason <> 'short' or 2 * rows <= usual_rows
            order by year desc
        """).fetchall()
        behind = marts.execute("""
            select year, count(distinct agency_id)
            from marts.fct_agency_performance
            join marts.dim_year using (year)
            where is_complete and not is_year_complete
            group by year
            order by year desc
        """).fetchall()
    except duckdb.CatalogException:  # the domain was not built yet
        return "no data"
    if premium_usd is None or losses_usd is None:
        return "no data"
    ratio = f"loss ratio {float(losses_usd) / float(premium_usd):.3f}" if premium_usd > 0 else "no loss ratio"
    left_out = [f"{year} ({_counted(rows, 'row')}: {INCOMPLETE[reason]})" for year, rows, reason in doubtful]
    left_out += [f"{year} of {_counted(count, 'agency', 'agencies')} (few months)" for year, count in behind]
    return (
        f"{agencies:,} agencies ({without_master:,} with an unknown master), "
        f"written premium {premium_usd:,.2f} USD, losses {losses_usd:,.2f} USD, {ratio}{_left_out(left_out)}"
    )


def _counted(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _left_out(years: list[str]) -> str:
    if not years:
        return ""
    others = len(years) - _YEARS_NAMED
    more = f" and {others:,} more" if others > 0 else ""
    return f"; left out of forecast and policies in force: {', '.join(years[:_YEARS_NAMED])}{more}"
