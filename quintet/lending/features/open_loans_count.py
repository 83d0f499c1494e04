"""Loans that the client still owes."""

from __future__ import annotations

from datetime import date

from quintet.lending.contract import ISSUED, LOAN, OPEN
from quintet.lending.feature import Event, Feature, State, Value, with_fact


def apply(state: State, event: Event) -> State:
    """Store the days on which each loan was issued and paid; a missing day counts as always."""
    if event.table != LOAN:
        return state
    row = event.row
    if row is None or row["status"] not in ISSUED:
        return with_fact(state, event.key, None)
    return with_fact(state, event.key, [row["created_on"], None if row["status"] in OPEN else row["updated_on"] or ""])


def value(state: State, as_of: date) -> Value:
    """Count loans issued up to `as_of` and not paid by then."""
    last = as_of.isoformat()
    return sum(
        issued_on is not None and issued_on <= last and (paid_on is None or paid_on > last)
        for issued_on, paid_on in state.values()
    )


FEATURE = Feature(
    name="open_loans_count",
    version=1,
    unit="loans",
    tables=frozenset({LOAN}),
    definition="Loans of the client issued up to the day and not paid by then: those that are active or overdue, and "
    "paid ones whose last update is after the day.",
    null_rule="Never null; 0 where nothing is owed.",
    apply=apply,
    value=value,
    sql="""
        select count(*) from loan
        where client_id = {client_id} and created_on <= date '{as_of}'
        and (status in ('active', 'overdue') or (status = 'paid' and updated_on > date '{as_of}'))
    """,
)
