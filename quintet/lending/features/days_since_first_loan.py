"""How long the client has been a borrower."""

from __future__ import annotations

from datetime import date

from quintet.lending.contract import ISSUED, LOAN
from quintet.lending.feature import Event, Feature, State, Value, with_fact


def apply(state: State, event: Event) -> State:
    """Store the day on which each loan was issued."""
    if event.table != LOAN:
        return state
    row = event.row
    return with_fact(state, event.key, row["created_on"] if row and row["status"] in ISSUED else None)


def value(state: State, as_of: date) -> Value:
    """Return the days from the first issued loan to `as_of`; null if there is none up to it."""
    past = [issued_on for issued_on in state.values() if issued_on <= as_of.isoformat()]
    return (as_of - date.fromisoformat(min(past))).days if past else None


FEATURE = Feature(
    name="days_since_first_loan",
    version=1,
    unit="days",
    tables=frozenset({LOAN}),
    definition="The day minus the day of the client's first issued loan.",
    null_rule="Null if no loan was issued up to the day.",
    apply=apply,
    value=value,
    sql="""
        select date '{as_of}' - min(created_on) from loan
        where client_id = {client_id} and status in ('active', 'paid', 'overdue') and created_on <= date '{as_of}'
    """,
)
