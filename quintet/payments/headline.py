"""The line about payments in the summary of a run."""

import duckdb

from quintet.presentation.wording import counted

_DAYS_NAMED = 7


def headline(marts: duckdb.DuckDBPyConnection) -> str:
    """Return transactions and unobserved minutes by day, incidents, and checkout sales, from the snapshot `marts`.

    More than a week of days is summed up; "no data" without any.
    """
    try:
        days = marts.execute("""
            select cast(day as varchar), sum(count), count(distinct minute_at) filter (not is_observed)
            from marts.fct_payment_minutes group by day order by day
        """).fetchall()
        hours, files, sales = marts.execute(
            "select count(*), count(distinct source_file), coalesce(sum(today), 0) from marts.fct_checkout_hours"
        ).fetchall()[0]
        incidents, critical, groups = marts.execute(
            "select count(*), count(*) filter (where severity = 'critical'), count(distinct group_id) "
            "from marts.fct_payment_incidents"
        ).fetchall()[0]
        (marked,) = marts.execute("select count(*) from marts.fct_checkout_anomalies where is_anomalous").fetchall()[0]
    except duckdb.CatalogException:  # the domain was not built yet
        return "no data"
    parts = [_transactions(*day) for day in days]
    if len(days) > _DAYS_NAMED:
        span = f"{counted(len(days), 'day')} from {days[0][0]} to {days[-1][0]}"
        parts = [_transactions(span, sum(day[1] for day in days), sum(day[2] for day in days))]
    if days:
        parts.append(f"{counted(incidents, 'incident')} ({critical:,} critical) in {counted(groups, 'group')}")
    if hours:
        parts.append(
            f"checkout: {counted(sales, 'sale')} in {counted(hours, 'hour')} of {counted(files, 'file')}, "
            f"{marked:,} anomalous"
        )
    return "; ".join(parts) or "no data"


def _transactions(when: str, transactions: int, unobserved_minutes: int) -> str:
    return f"{when}: {counted(transactions, 'transaction')}, {counted(unobserved_minutes, 'minute')} unobserved"
