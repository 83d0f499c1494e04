"""Days since the client last paid late."""

from __future__ import annotations

from datetime import date

from quintet.lending.contract import LOAN, PAYMENT
from quintet.lending.feature import Event, Feature, State, Value, with_fact


def apply(state: State, event: Event) -> State:
    """Store the day of each late payment."""
    if event.table != PAYMENT:
        return state
    row = event.row
    return with_fact(state, event.key, row["created_on"] if row and row["status"] == "late" else None)


def value(state: State, as_of: date) -> Value:
    """Return the days from the latest late payment to `as_of`; null if there is none up to it."""
    past = [paid_on for paid_on in state.values() if paid_on <= as_of.isoformat()]
    return (as_of - date.fromisoformat(max(past))).days if past else None


FEATURE = Feature(
    name="days_since_last_late_payment",
    version=1,
    unit="days",
    tables=frozenset({LOAN, PAYMENT}),
    definition="The day minus the day of the latest payment with status late that is not after it.",
    null_rule="Null where the client never paid late; 0 means today.",
    apply=apply,
    value=value,
    sql="""
        select date '{as_of}' - max(payment.created_on) from payment join loan on loan.id = payment.loan_id
        where loan.client_id = {client_id} and payment.status = 'late' and payment.created_on <= date '{as_of}'
    """,
)
