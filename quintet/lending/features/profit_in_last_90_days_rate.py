"""Interest received on loans issued in the last 90 days, divided by their amounts."""

from __future__ import annotations

from datetime import date

from quintet.lending.contract import ISSUED, LOAN, PAYMENT, amount
from quintet.lending.feature import Event, Feature, State, Value, total, window_start, with_fact

_DAYS = 90


def apply(state: State, event: Event) -> State:
    """Store day and amount of each issued loan, and loan, day and interest of each payment."""
    row = event.row
    if event.table == LOAN:
        known = row is not None and row["status"] in ISSUED and row["created_on"] is not None
        return with_fact(
            state, f"loan {event.key}", [row["created_on"], amount(row, "amount")] if known and row else None
        )
    if event.table == PAYMENT:
        known = row is not None and row["created_on"] is not None
        fact = [str(row["loan_id"]), row["created_on"], amount(row, "interest")] if known and row else None
        return with_fact(state, f"payment {event.key}", fact)
    return state


def value(state: State, as_of: date) -> Value:
    """Return interest received up to `as_of` on loans issued in the 90 days up to it, divided by their amounts."""
    first, last = window_start(as_of, _DAYS), as_of.isoformat()
    lent = {
        key.removeprefix("loan "): fact[1]
        for key, fact in state.items()
        if key.startswith("loan ") and first <= fact[0] <= last
    }
    lent_total = total(lent.values())
    if not lent_total:
        return None
    received = total(
        fact[2] for key, fact in state.items() if key.startswith("payment ") and fact[0] in lent and fact[1] <= last
    )
    return float(received) / float(lent_total)


FEATURE = Feature(
    name="profit_in_last_90_days_rate",
    version=1,
    unit="ratio",
    tables=frozenset({LOAN, PAYMENT}),
    definition="Interest received up to the day on loans issued in the 90 days that end with it, divided by the amount "
    "of all loans issued in those days, unpaid ones included. An application was never issued.",
    null_rule="Null if no loan was issued in those days; 0 if no interest was received on them.",
    apply=apply,
    value=value,
    sql="""
        with issued as (
            select id, greatest(coalesce(amount, 0), 0) as amount from loan
            where client_id = {client_id} and status in ('active', 'paid', 'overdue')
            and created_on > date '{as_of}' - 90 and created_on <= date '{as_of}'
        ),
        received as (
            select sum(cast(cast(greatest(interest, 0) as varchar) as decimal(30, 10))) as interest from payment
            where loan_id in (select id from issued) and created_on <= date '{as_of}'
        )
        select cast(coalesce((select interest from received), 0) as double precision)
            / nullif(cast(sum(cast(cast(amount as varchar) as decimal(30, 10))) as double precision), 0)
        from issued
    """,
)
