"""Detect leaks: inputs of a model that use facts from after the application."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np

from quintet.lending.book import Rows
from quintet.lending.contract import LOAN, PAYMENT, USER
from quintet.lending.feature import Event, Feature
from quintet.lending.feature_registry import fold, values
from quintet.lending.measures import Ranking
from quintet.lending.rows import columns_of

_MOST_CHECKED = 300
_SURE_AUC = 0.9
"""AUC of a single input from which on a leak is assumed."""


class LeakError(ValueError):
    """An input uses facts from after the application; the message names it and an example."""


def check_as_of(rows: Rows, known: Sequence[Feature], applications: Sequence[Mapping[str, Any]]) -> None:
    """Raise LeakError for a feature whose value at an application changes when later facts are removed.

    rows: the book of the first snapshot, with its states. applications: with application_id, client_id and as_of; some
    hundreds of them are checked. Skips features without dates, which are null for these applications.
    """
    dated = [feature for feature in known if feature.is_dated]
    for application in applications[:: len(applications) // _MOST_CHECKED + 1]:
        client, as_of = str(application["client_id"]), application["as_of"]
        events = _events_until(rows, client, as_of)
        if events is None:
            continue
        found = values(dated, rows.states(client), date.fromisoformat(as_of))
        states: dict[str, Any] = {}
        for event in events:
            states = fold(dated, states, event)
        then = values(dated, states, date.fromisoformat(as_of))
        for name, value in found.items():
            if value != then[name]:
                raise LeakError(
                    f"{name} is {value} at application {application['application_id']}, and {then[name]} without the "
                    f"facts after {as_of}: it uses later facts. Let its value use only facts dated up to the day, or "
                    "set is_dated=False if the tables keep no dates"
                )


def _events_until(rows: Rows, client: str, as_of: str) -> list[Event] | None:
    """Reconstruct a client's rows as of the end of a day; None if their dates contradict each other.

    A loan that ended later was still active then.
    """
    events: list[Event] = []
    user = rows.row(USER, client)
    if user is not None:
        events.append(Event(USER, client, columns_of(USER, user)))
    for key, kept in rows.children(LOAN, client):
        loan = dict(columns_of(LOAN, kept) or {})
        created_on, updated_on = loan["created_on"], loan["updated_on"]
        if created_on is not None and updated_on is not None and updated_on < created_on:
            return None
        if created_on is None or created_on <= as_of:
            has_ended_later = updated_on is not None and updated_on > as_of and loan["status"] in ("paid", "overdue")
            change = {"status": "active", "updated_on": created_on} if has_ended_later else {}
            events.append(Event(LOAN, key, loan | change))
        for payment_key, paid in rows.children(PAYMENT, key):
            payment = columns_of(PAYMENT, paid) or {}
            if payment["created_on"] is None or payment["created_on"] <= as_of:
                events.append(Event(PAYMENT, payment_key, payment))
    return events


def check_plausible(inputs: Mapping[str, np.ndarray], is_default: np.ndarray) -> None:
    """Raise LeakError for an input that alone separates defaults from repaid loans too well to be plausible.

    inputs: by name, NaN for null. is_default: of the same applications; has both classes.
    """
    for name, column in inputs.items():
        # Null itself may separate the classes, so it is tried at either end.
        ends = (np.nan_to_num(column, nan=end) for end in (-1e18, 1e18))
        auc = max(max(found, 1 - found) for found in (Ranking(is_default, one).auc() for one in ends))
        if auc >= _SURE_AUC:
            raise LeakError(
                f"{name} alone separates defaults from repaid loans with an AUC of {auc:.3f}, which is not plausible. "
                "Check whether it was computed from the outcome, or from payments after the application"
            )
