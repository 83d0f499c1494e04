"""What a feature is: a small pure fold over what happens to a client's rows, and its value at a day.

To add one, write `features/<name>.py` with a `FEATURE` in it, and `tests/unit/lending/features/test_<name>.py`. It is
then in the stream, the backfill, the catalogue and the training set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from quintet.change_log.change import Row

State = Mapping[str, Any]
"""What a feature remembers of one client; made of what JSON can hold, `{}` at first. `apply` never changes it."""

Value = int | float | None


class Event(NamedTuple):
    """Something became known of a client: the row `key` of `table` is now `row`, or is the client's no longer (None).

    Events of one row come in order. A payment comes to the client of its loan once both are known.
    """

    table: str
    key: str
    row: Row | None


@dataclass(frozen=True)
class Feature:
    """A feature, in words and in code.

    name: its column; version: raised when its meaning changes, which replays the log. unit: of its value.
    definition, null_rule: for the catalogue. apply: the fold; value: the value at the end of a day, from facts dated
    up to it. sql: the same in plain SQL over the tables, for one `{client_id}` and `{as_of}`: what the value is
    checked against. is_dated: whether the tables keep the dates that past values need. Where they do not (a status is
    overwritten), the value at an application that only the snapshot has seen would tell of what came later.
    """

    name: str
    version: int
    unit: str
    definition: str
    null_rule: str
    apply: Callable[[State, Event], State]
    value: Callable[[State, date], Value]
    sql: str
    is_dated: bool = True


def with_fact(state: State, key: str, fact: Any) -> State:
    """The state with a fact put in, replaced, or (None) taken out; the same state where that changes nothing."""
    if fact is None:
        return {other: kept for other, kept in state.items() if other != key} if key in state else state
    return state if state.get(key) == fact else {**state, key: fact}


def total(amounts: Iterable[float]) -> Decimal:
    """The exact sum of amounts as they are written; the order does not matter."""
    return sum((Decimal(repr(amount)) for amount in amounts), Decimal(0))


def window_start(as_of: date, days: int) -> str:
    """The first day, ISO, of the `days` days that end with `as_of`."""
    return date.fromordinal(max(as_of.toordinal() - days + 1, 1)).isoformat()
