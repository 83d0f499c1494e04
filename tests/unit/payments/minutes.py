"""Minutes of usual payments as items, and what a monitor has recorded of them."""

from __future__ import annotations

import datetime as dt

import numpy as np

from quintet.payments import store as payment_store
from quintet.payments.incidents import to_minute
from quintet.payments.items import Item
from quintet.state.store import StateStore

START = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
LATER = dt.datetime(2024, 6, 1, tzinfo=dt.UTC)
FIRST = to_minute(START)


def minute_of(number: int, **counts: int) -> list[Item]:
    """Return the items of the minute with this number from the start."""
    usual = {"approved": 100, "denied": 10} | counts
    return [Item(FIRST + number, status, count) for status, count in usual.items()]


def quiet_hours(minutes: int, seed: int = 1) -> list[list[Item]]:
    rng = np.random.default_rng(seed)
    approved, denied = rng.poisson(100, minutes).tolist(), rng.poisson(10, minutes).tolist()
    return [minute_of(number, approved=approved[number], denied=denied[number]) for number in range(minutes)]


def all_points(store: StateStore) -> list[tuple[object, ...]]:
    return payment_store.points(store, 0, FIRST + 10_000)


def all_incidents(store: StateStore) -> list[tuple[object, ...]]:
    return [(one.incident_id, *one.fields.values()) for one in payment_store.incidents(store)]
