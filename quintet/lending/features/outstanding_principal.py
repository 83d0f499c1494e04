"""The principal that the client still owes."""

from __future__ import annotations

from datetime import date

from quintet.lending.contract import ISSUED, LOAN, OPEN, PAYMENT, amount
from quintet.lending.feature import Event, Feature, State, Value, total, with_fact


def apply(state: State, event: Event) -> State:
    """Store issue day, amount and paid day of each issued loan, and loan, day and principal of each payment."""
    row = event.row
    if event.table == LOAN:
        key = f"loan {event.key}"
        if row is None or row["status"] not in ISSUED or row["created_on"] is None:
            return with_fact(state, key, None)
        paid_on = None if row["status"] in OPEN else row["updated_on"] or ""
        return with_fact(state, key, [row["created_on"], amount(row, "amount"), paid_on])
    if event.table == PAYMENT:
        known = row is not None and row["created_on"] is not None
        fact = [str(row["loan_id"]), row["created_on"], amount(row, "principle")] if known and row else None
        return with_fact(state, f"payment {event.key}", fact)
    return state


def value(state: State, as_of: date) -> Value:
    """Return the amounts of loans issued up to `as_of` and not paid by then, less principal received; at least 0."""
    last = as_of.isoformat()
    owed = {
        key.removeprefix("loan "): fact[1]
        for key, fact in state.items()
        if key.startswith("loan ") and fact[0] <= last and (fact[2] is None or fact[2] > last)
    }
    received = total(
        fact[2] for key, fact in state.items() if key.startswith("payment ") and fact[0] in owed and fact[1] <= last
    )
    return max(float(total(owed.values()) - received), 0.0)


FEATURE = Feature(
    name="outstanding_principal",
    version=1,
    unit="currency of the loans",
    tables=frozenset({LOAN, PAYMENT}),
    definition="Amounts of the client's loans issued up to the day and not paid by then, less the principal received "
    "on them up to the day.",
    null_rule="Never null; 0 where nothing is owed.",
    apply=apply,
    value=value,
    sql="""
        with owed as (
            select id, greatest(coalesce(amount, 0), 0) as amount from loan
            where client_id = {client_id} and created_on <= date '{as_of}'
            and (status in ('active', 'overdue') or (status = 'paid' and updated_on > date '{as_of}'))
        )
        select greatest(cast(
            coalesce((select sum(cast(cast(amount as varchar) as decimal(30, 10))) from owed), 0)
            - coalesce((
                select sum(cast(cast(greatest(coalesce(principle, 0), 0) as varchar) as decimal(30, 10))) from payment
                where loan_id in (select id from owed) and created_on <= date '{as_of}'
            ), 0) as double precision), 0)
    """,
)
