"""Lending on the overview."""

from collections.abc import Sequence

import duckdb

from quintet.domain import Card, Waiting
from quintet.ml.statistics import SHIFTED
from quintet.state.store import StateStore

_DAYS = 30
_PERIODS = 12


def card(marts: duckdb.DuckDBPyConnection) -> Card:
    """Return the share of the last 30 days' open applications that is approved, against the 30 days before."""
    rows = marts.execute(
        """
        select
            date_diff('day', applied_on, last) // $days as period,
            count(*) filter (where decision = 'approve'),
            count(*),
            max(last)::varchar
        from marts.fct_application_decisions
        cross join (select max(applied_on) as last from marts.fct_application_decisions)
        group by period
        having period < $periods
        order by period desc
        """,
        {"days": _DAYS, "periods": _PERIODS},
    ).fetchall()
    if not rows:
        return Card("Applications approved", None, "percent", state="no open application")
    ((shifted,),) = marts.execute("select count(*) from ml.lending_model_stability where psi > ?", [SHIFTED]).fetchall()
    return Card.of_shares(
        "Applications approved",
        rows,
        _DAYS,
        state="the model's inputs have shifted" if shifted else "no drift",
        weight="warning" if shifted else "none",
    )


def waiting(marts: duckdb.DuckDBPyConnection, _: StateStore) -> Sequence[Waiting]:
    """Return the applications that the policy refers to a person."""
    ((referred,),) = marts.execute(
        "select count(*) from marts.fct_application_decisions where decision = 'refer'"
    ).fetchall()
    return [Waiting(referred, "application", "to decide: the policy refers them", "/lending?decision=refer")]
