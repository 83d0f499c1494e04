"""Loans that the client still owes."""

from __future__ import annotations

from datetime import date

from quintet.lending.contract import LOAN, OPEN
from quintet.lending.feature import Event, Feature, State, Value, with_fact


def apply(state: State, event: Event) -> State:
    """Keeps the day on which each open loan was issued."""
    if event.table != LOAN:
        return state
    row = event.row
    return with_fact(state, event.key, row["created_on"] if row and row["status"] in OPEN else None)


def value(state: State, as_of: date) -> Value:
    """Open loans issued up to `as_of`."""
    return sum(issued_on <= as_of.isoformat() for issued_on in state.values())


FEATURE = Feature(
    name="open_loans_count",
    version=1,
    unit="loans",
    definition="Loans of the client that are active or overdue, and were issued up to the day.",
    null_rule="Never null; 0 where nothing is owed.",
    apply=apply,
    value=value,
    sql="""
        select count(*) from loan
        where client_id = {client_id} and status in ('active', 'overdue') and created_on <= date '{as_of}'
    """,
)
