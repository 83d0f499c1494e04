"""Incidents and silences of live payments as a state store has them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from quintet.payments import store as payment_store
from quintet.payments.incidents import FIRING, Incident, to_minute
from quintet.payments.silences import Silence, add_silence
from quintet.state.store import StateStore

NOW = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
FIRST = to_minute(NOW)
HOUR = dt.timedelta(hours=1)


def incident(
    series: str = "denied", state: str = FIRING, start: int = FIRST, group: str = "", severity: str = "warning"
) -> Incident:
    made = Incident(series, state, start, start + 2, start + 9, 0, severity, 9.0, 10.0, 60, 5, "rate_tail")
    ended = None if state == FIRING else start + 10
    return made._replace(group_id=group or made.incident_id, ended_minute=ended)


def happen(store: StateStore, *incidents: Incident, at: dt.datetime = NOW) -> None:
    with store.write() as connection:
        for one in incidents:
            payment_store.save_incident(connection, one.incident_id, payment_store.LIVE, list(one), at)


def silence(
    store: StateStore, series: str | None, starts_at: dt.datetime, expires_at: dt.datetime, **given: Any
) -> Silence:
    with store.write() as connection:
        return add_silence(connection, Silence(series, starts_at, expires_at, **given))
