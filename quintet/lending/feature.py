"""A feature: a pure fold over the events of a client's rows, and its value at a day.

To add one, write `features/<name>.py` with a `FEATURE` in it, and `tests/unit/lending/features/test_<name>.py`. It is
then in the stream, the backfill, the feature registry and the training set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from quintet.change_log.change import Row

State = Mapping[str, Any]
"""The state of a feature for one client: JSON values, `{}` at first. `apply` never changes it in place."""

Value = int | float | None


class Event(NamedTuple):
    """A change of a client's row: row `key` of `table` is now `row`, or (None) no longer belongs to the client.

    Events of one row are in order. A payment's event follows once its loan is known.
    """

    table: str
    key: str
    row: Row | None


@dataclass(frozen=True)
class Feature:
    """A feature: its description, fold, value and SQL.

    name: its column. version: raise it when the meaning changes; all states are then rebuilt. unit: of the value.
    tables: the tables that it reads; payments are found through their loan. definition, null_rule: texts for people.
    apply: the fold. value: at the end of a day, from facts dated up to it. sql: the same value for one `{client_id}`
    and `{as_of}`; tests compare the two. is_dated: whether the tables keep the dates of past values; if not, values at
    applications of the snapshot would leak later facts, and are null.
    """

    name: str
    version: int
    unit: str
    tables: frozenset[str]
    definition: str
    null_rule: str
    apply: Callable[[State, Event], State]
    value: Callable[[State, date], Value]
    sql: str
    is_dated: bool = True


def with_fact(state: State, key: str, fact: Any) -> State:
    """Return the state with a fact added, replaced, or (None) removed; the same object if nothing changes."""
    if fact is None:
        return {other: kept for other, kept in state.items() if other != key} if key in state else state
    return state if state.get(key) == fact else {**state, key: fact}


def total(amounts: Iterable[float]) -> Decimal:
    """Return the exact decimal sum of amounts, in any order."""
    return sum((Decimal(repr(amount)) for amount in amounts), Decimal(0))


def window_start(as_of: date, days: int) -> str:
    """Return the first day, ISO, of the `days` days that end with `as_of`."""
    return date.fromordinal(max(as_of.toordinal() - days + 1, 1)).isoformat()
