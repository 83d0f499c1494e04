"""The one sentence about promotions in the summary of a run.

Belongs here: the domain's key result, read from the published tables. Charts, reports and the summary's layout do not.
"""

import duckdb


def headline(marts: duckdb.DuckDBPyConnection) -> str:
    """Users, codes and usages of the snapshot `marts`; "no data" where there is none.

    Needs `marts.dim_promo_code.source_rows`: of how many rows of the files a code was merged.
    """
    try:
        users, usages, codes, code_rows = marts.execute("""
            select
                (select count(*) from marts.fct_promo_users),
                (select count(*) from marts.fct_promo_usages),
                (select count(*) from marts.dim_promo_code),
                (select coalesce(sum(source_rows), 0) from marts.dim_promo_code)
        """).fetchall()[0]
    except duckdb.CatalogException:  # the domain was not built yet
        return "no data"
    if not (users or usages or codes):
        return "no data"
    return f"{users:,} users, {codes:,} codes (merged from {code_rows:,} rows), {usages:,} usages"
