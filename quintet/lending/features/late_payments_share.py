"""How many of the client's payments were late."""

from __future__ import annotations

from datetime import date

from quintet.lending.contract import LOAN, PAYMENT
from quintet.lending.feature import Event, Feature, State, Value, with_fact


def apply(state: State, event: Event) -> State:
    """Store day and status of each payment."""
    if event.table != PAYMENT:
        return state
    row = event.row
    return with_fact(state, event.key, [row["created_on"], row["status"]] if row and row["created_on"] else None)


def value(state: State, as_of: date) -> Value:
    """Return late payments up to `as_of` divided by all payments; null without payments."""
    statuses = [status for paid_on, status in state.values() if paid_on <= as_of.isoformat()]
    return statuses.count("late") / len(statuses) if statuses else None


FEATURE = Feature(
    name="late_payments_share",
    version=1,
    unit="ratio",
    tables=frozenset({LOAN, PAYMENT}),
    definition="Payments with status late divided by all payments, both up to the day. Placeholders of the schedule "
    "are dated in the future and do not count until then.",
    null_rule="Null where the client has paid nothing yet; 0 where every payment was on time.",
    apply=apply,
    value=value,
    sql="""
        select cast(count(case when payment.status = 'late' then 1 end) as double precision) / nullif(count(*), 0)
        from payment join loan on loan.id = payment.loan_id
        where loan.client_id = {client_id} and payment.created_on <= date '{as_of}'
    """,
)
