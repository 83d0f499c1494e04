"""Events and changes of a small loan book, for tests of features."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from quintet.change_log.change import Change
from quintet.lending.contract import LOAN, PAYMENT
from quintet.lending.feature import Event, Feature, State, Value

AS_OF = date(2020, 8, 23)


def loan(key: int, status: str, created_on: str, amount: float = 100.0, updated_on: str | None = None) -> Event:
    """Return the event of a loan's current row."""
    row = {"id": key, "client_id": 1, "amount": amount, "created_on": created_on, "status": status}
    return Event(LOAN, str(key), row | {"updated_on": updated_on or created_on})


def payment(
    key: int, loan_id: int, created_on: str, status: str = "on_time", interest: float = 10.0, principle: float = 40.0
) -> Event:
    """Return the event of a payment's current row."""
    row = {"id": key, "loan_id": loan_id, "principle": principle, "interest": interest}
    return Event(PAYMENT, str(key), row | {"status": status, "created_on": created_on})


def gone(event: Event) -> Event:
    """Return the event of a row's deletion."""
    return event._replace(row=None)


def state_after(feature: Feature, events: Sequence[Event]) -> State:
    """Return the state of one client after events, in their order."""
    state: State = {}
    for event in events:
        state = feature.apply(state, event)
    return state


def value_after(feature: Feature, *events: Event, as_of: date = AS_OF) -> Value:
    """Return the value of one client after events, in their order."""
    return feature.value(state_after(feature, events), as_of)


def change(lsn: int, table: str, key: int, row: dict[str, Any] | None, sequence: int = 0) -> Change:
    """Return a change of the log: a row's current values, or its deletion."""
    row = None if row is None else {"id": key, **row}
    operation = "delete" if row is None else "update"
    old = {"id": key} if row is None else None
    return Change(lsn, sequence, "2020-08-23T10:00:00.000000Z", table, operation, "s", row, old)
