"""Conversions on the overview."""

from collections.abc import Sequence

import duckdb

from quintet.domain import Card, Waiting
from quintet.presentation.wording import counted
from quintet.state.store import StateStore

_DAYS = 7
_PERIODS = 12


def card(marts: duckdb.DuckDBPyConnection) -> Card:
    """Return the share of the last week's broker rows that is matched, against the week before."""
    rows = marts.execute(
        """
        select
            date_diff('second', broker_at, last) // (86400 * $days) as period,
            count(match.conversion_id),
            count(*),
            max(last)::date::varchar
        from marts.fct_broker_rows as row
        left join marts.fct_conversion_matches as match
            on match.broker_row_id = row.broker_row_id and match.tier = 'matched'
        cross join (select max(broker_at) as last from marts.fct_broker_rows)
        group by period
        having period < $periods
        order by period desc
        """,
        {"days": _DAYS, "periods": _PERIODS},
    ).fetchall()
    if not rows:
        return Card("Broker rows matched", None, "percent", state="no broker row")
    ((review,),) = marts.execute("select count(*) from marts.fct_conversion_matches where tier = 'review'").fetchall()
    return Card.of_shares(
        "Broker rows matched", rows, _DAYS, better=True, state=f"{counted(review, 'pair')} not certain"
    )


def waiting(marts: duckdb.DuckDBPyConnection, _: StateStore) -> Sequence[Waiting]:
    """Return the codes of pages without a category."""
    ((codes,),) = marts.execute("select count(*) from marts.unmapped_page_categories").fetchall()
    return [Waiting(codes, "page code", "to map to a category", "/conversions")]
