"""Loans that the client has paid back."""

from __future__ import annotations

from datetime import date

from quintet.lending.contract import LOAN
from quintet.lending.feature import Event, Feature, State, Value, with_fact


def apply(state: State, event: Event) -> State:
    """Store the day of the last update of each paid loan; a missing day counts as always."""
    if event.table != LOAN:
        return state
    row = event.row
    return with_fact(state, event.key, (row["updated_on"] or "") if row and row["status"] == "paid" else None)


def value(state: State, as_of: date) -> Value:
    """Count loans paid by the end of `as_of`."""
    return sum(paid_on <= as_of.isoformat() for paid_on in state.values())


FEATURE = Feature(
    name="paid_loans_count",
    version=1,
    unit="loans",
    tables=frozenset({LOAN}),
    definition="Loans of the client with status paid whose last update is not after the day. The current application "
    "is not paid and so is not counted.",
    null_rule="Never null; 0 if no loan is paid.",
    apply=apply,
    value=value,
    sql="""
        select count(*) from loan
        where client_id = {client_id} and status = 'paid' and coalesce(updated_on <= date '{as_of}', true)
    """,
)
