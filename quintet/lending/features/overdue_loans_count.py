"""Loans that the client should have paid back by now."""

from __future__ import annotations

from datetime import date

from quintet.lending.contract import LOAN
from quintet.lending.feature import Event, Feature, State, Value, with_fact


def apply(state: State, event: Event) -> State:
    """Store the day of the last update of each overdue loan; a missing day counts as always."""
    if event.table != LOAN:
        return state
    row = event.row
    return with_fact(state, event.key, (row["updated_on"] or "") if row and row["status"] == "overdue" else None)


def value(state: State, as_of: date) -> Value:
    """Count loans overdue by the end of `as_of`."""
    return sum(overdue_on <= as_of.isoformat() for overdue_on in state.values())


FEATURE = Feature(
    name="overdue_loans_count",
    version=1,
    unit="loans",
    tables=frozenset({LOAN}),
    definition="Loans of the client with status overdue whose last update is not after the day.",
    null_rule="Never null; 0 where nothing is overdue.",
    is_dated=False,
    apply=apply,
    value=value,
    sql="""
        select count(*) from loan
        where client_id = {client_id} and status = 'overdue' and coalesce(updated_on <= date '{as_of}', true)
    """,
)
