"""Promotions on the overview."""

from collections.abc import Sequence

import duckdb

from quintet.domain import Card, Waiting
from quintet.presentation.wording import counted
from quintet.state.store import StateStore

_DAYS = 30
_PERIODS = 12


def card(marts: duckdb.DuckDBPyConnection) -> Card:
    """Return the share of the last 30 days' sign-ups that is to be blocked, against the 30 days before."""
    rows = marts.execute(
        """
        select
            date_diff('second', created_at, last) // (86400 * $days) as period,
            count(*) filter (where decision = 'block'),
            count(*),
            max(last)::date::varchar
        from marts.fct_promo_users
        join marts.fct_abuse_scores using (user_id)
        cross join (select max(created_at) as last from marts.fct_promo_users)
        where created_at is not null
        group by period
        having period < $periods
        order by period desc
        """,
        {"days": _DAYS, "periods": _PERIODS},
    ).fetchall()
    ((blocked,),) = marts.execute("select count(*) from marts.fct_abuse_scores where decision = 'block'").fetchall()
    if not rows:
        return Card("Sign-ups to block", None, "percent", state="no sign-up")
    return Card.of_shares(
        "Sign-ups to block",
        rows,
        _DAYS,
        better=False,
        state=f"{counted(blocked, 'user')} to block",
        weight="warning" if blocked else "none",
    )


def waiting(marts: duckdb.DuckDBPyConnection, _: StateStore) -> Sequence[Waiting]:
    """Return the users to review whom nobody has labelled."""
    ((users,),) = marts.execute(
        "select count(*) from marts.fct_abuse_scores as score where decision = 'review' "
        "and not exists (from marts.ops_abuse_labels as label where label.user_id = score.user_id)"
    ).fetchall()
    return [Waiting(users, "user", "to confirm or clear", "/promotions#to-judge")]
