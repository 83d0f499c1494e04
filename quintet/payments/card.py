"""Payments on the overview."""

from collections.abc import Sequence

import duckdb

from quintet.domain import Card, Waiting
from quintet.payments import store as payment_store
from quintet.presentation.wording import counted
from quintet.state.store import StateStore

_FEWEST_DAYS = 3
"""With fewer days the trend is by hour of the last one."""
_MOST_DAYS = 30


def card(marts: duckdb.DuckDBPyConnection) -> Card:
    """Return the transactions of the last day in files against the day before."""
    days = marts.execute(
        "select day, sum(count)::double from marts.fct_payment_minutes group by day order by day desc limit ?",
        [_MOST_DAYS],
    ).fetchall()[::-1]
    if not days:
        return Card("Transactions", None, state="no file")
    day, transactions = days[-1]
    before = days[-2][1] if len(days) > 1 else None
    hours = marts.execute(
        "select sum(count)::double from marts.fct_payment_minutes where day = ? "
        "group by minute_of_day // 60 order by minute_of_day // 60",
        [day],
    ).fetchall()
    ((incidents, critical),) = marts.execute(
        "select count(*), count(*) filter (where severity = 'critical') from marts.fct_payment_incidents "
        "where started_at::date <= $day and coalesce(ended_at::date, $day) >= $day",
        {"day": day},
    ).fetchall()
    return Card(
        f"Transactions on {day}",
        transactions,
        change=transactions / before - 1 if before else None,
        change_against=f"against {days[-2][0]}" if before else "",
        trend=[count for _, count in days] if len(days) >= _FEWEST_DAYS else [count for (count,) in hours],
        basis="the last day in files" if len(days) >= _FEWEST_DAYS else "the last day in files, drawn by hour",
        state=f"{counted(incidents, 'incident')}, {critical:,} critical" if incidents else "no incident",
        weight="critical" if critical else "warning" if incidents else "none",
    )


def waiting(_: duckdb.DuckDBPyConnection, store: StateStore) -> Sequence[Waiting]:
    """Return the live incidents that nobody has acknowledged."""
    live = [one for one in payment_store.incidents(store, only_unsettled=True) if one.source == payment_store.LIVE]
    is_open = [one for one in live if one.fields["state"] == "firing" and one.acknowledged_at is None]
    return [Waiting(len(is_open), "open incident", "to acknowledge", "/payments?day=live#incidents", is_urgent=True)]
