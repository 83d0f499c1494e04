"""The one sentence about insurance in the summary of a run."""

import duckdb

from quintet.insurance.years import INCOMPLETE
from quintet.presentation.wording import counted

_YEARS_NAMED = 3
_CODES_NAMED = 5

_POSTAL_CODES = (
    "AK AL AR AZ CA CO CT DC DE FL GA HI IA ID IL IN KS KY LA MA MD ME MI MN MO MS MT NC ND NE NH NJ NM NV NY OH OK OR "
    "PA RI SC SD TN TX UT VA VT WA WI WV WY AS GU MP PR VI AA AE AP"
)
STATES = frozenset(_POSTAL_CODES.split())
"""The codes of the United States Postal Service: states, the district, territories and the armed forces."""


def headline(marts: duckdb.DuckDBPyConnection) -> str:
    """Return agencies, premium, losses and loss ratio of the snapshot `marts`; "no data" where there is none.

    Years that are left out of stocks and forecast against expectation are named, with their rows and the reason; so are
    codes that are no state, and codes of products that differ only in their spaces.
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
        unknown = marts.execute(
            "select state_abbr, count(*) from marts.fct_agency_performance "
            "where not list_contains(?, state_abbr) group by all order by 2 desc, 1",
            [sorted(STATES)],
        ).fetchall()
        alike = marts.execute("""
            select string_agg('"' || prod_abbr || '"', ' and ' order by prod_abbr)
            from (select distinct prod_abbr from marts.fct_agency_performance)
            group by replace(prod_abbr, ' ', '')
            having count(*) > 1
            order by 1
        """).fetchall()
    except duckdb.CatalogException:  # the domain was not built yet
        return "no data"
    if premium_usd is None or losses_usd is None:
        return "no data"
    ratio = f"loss ratio {float(losses_usd) / float(premium_usd):.3f}" if premium_usd > 0 else "no loss ratio"
    left_out = [f"{year} ({counted(rows, 'row')}: {INCOMPLETE[reason]})" for year, rows, reason in doubtful]
    left_out += [f"{year} of {counted(count, 'agency')} (few months)" for year, count in behind]
    return (
        f"{counted(agencies, 'agency')} ({without_master:,} with an unknown master), "
        f"written premium {premium_usd:,.2f} USD, losses {losses_usd:,.2f} USD, {ratio}{_left_out(left_out)}"
        f"{_doubtful_codes(unknown, [pair for (pair,) in alike])}"
    )


def _doubtful_codes(unknown: list[tuple[str, int]], alike: list[str]) -> str:
    """Return the codes that are no state, with their rows, and the codes of products that differ only in spaces."""
    rows, codes = sum(count for _, count in unknown), [code for code, _ in unknown]
    others = f" and {len(codes) - _CODES_NAMED:,} more" if len(codes) > _CODES_NAMED else ""
    of_states = f"; {counted(rows, 'row')} of an unknown state ({', '.join(codes[:_CODES_NAMED])}{others})"
    of_products = f"; products that differ only in spaces: {', '.join(alike[:_CODES_NAMED])}"
    return (of_states if codes else "") + (of_products if alike else "")


def _left_out(years: list[str]) -> str:
    if not years:
        return ""
    others = len(years) - _YEARS_NAMED
    more = f" and {others:,} more" if others > 0 else ""
    return f"; left out of forecast and policies in force: {', '.join(years[:_YEARS_NAMED])}{more}"
