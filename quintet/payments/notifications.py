"""Who is to be told what, and when: from incidents to messages in the outbox.

An incident is told once it has stood for `GROUP_WAIT`, so that those of one cause come in one message and what late
counts withdraw at once is never told; again every four hours until somebody takes it on; and when it ends. The message
and the note that it was told are written in one transaction: none is lost and none is written twice.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import pandas as pd

from quintet.payments import store as payment_store
from quintet.payments.incidents import (
    CRITICAL,
    FIRING,
    RESOLVED,
    WITHDRAWN,
    Incident,
    Notification,
    Silence,
    is_due,
    is_silenced,
    to_minute,
)
from quintet.state.outbox import enqueue
from quintet.state.store import Store

GROUP_WAIT = dt.timedelta(seconds=2)

MOST_NAMED = 20
"""Incidents in one message; what is beyond is counted."""

_NAMES = {"feed": "feed of transactions", "volume": "approved transactions"}


def series_name(series: str) -> str:
    """A series as people call it."""
    return _NAMES.get(series, series.replace("_", " "))


def notify(store: Store, channels: Sequence[str], page_url: str | None, now: dt.datetime) -> int:
    """Write what is due into the outbox, for each channel; gives how many messages. now: UTC, with its zone.

    Without a channel everything is taken as told, so that one that is added later starts with what comes then.
    """
    unsettled = [one for one in payment_store.incidents(store, only_unsettled=True) if one.source == payment_store.LIVE]
    if not unsettled:
        return 0
    silences = [Silence(one.series, one.starts_at, one.expires_at) for one in payment_store.silences(store, now)]
    due = []
    done: list[str] = []
    for one in unsettled:
        incident = Incident(**one.fields)
        told = _told(one)
        if now - one.first_seen_at < GROUP_WAIT and told is None:
            continue
        # One that ended within the wait, as in a replay, is told once, ended as it is.
        ended_untold = told is None and incident.state == RESOLVED and not is_silenced(incident, silences, now)
        if ended_untold or is_due(incident, told, silences, now):
            due.append((incident, one))
        elif incident.state in (RESOLVED, WITHDRAWN):
            done.append(one.incident_id)
    due.sort(key=lambda pair: (pair[0].group_id, pair[0].started_minute, pair[0].series))
    if not due and not done:
        return 0
    messages = 0
    with store.write() as connection:
        for group_id, pairs in groupby(due, key=lambda pair: pair[0].group_id):
            of_group = list(pairs)
            body = message([incident for incident, _ in of_group], page_url, now)
            _write(connection, group_id, of_group, channels, body, now)
            messages += 1
        for incident_id in done:
            payment_store.mark_settled(connection, incident_id)
    return messages


def notify_batch(
    store: Store, incidents: pd.DataFrame, channels: Sequence[str], page_url: str | None, now: dt.datetime
) -> int:
    """Tell of incidents that a run found in files, all in one message; gives how many are new.

    incidents: as `marts.fct_payment_incidents`. Those that an earlier run told, and those of a series that the live
    feed has told for the same time, are left out.
    """
    known = payment_store.incidents(store)
    ids = {one.incident_id for one in known if one.is_settled or one.told_at}
    fresh = [
        incident
        for incident_id, incident in _of_frame(incidents)
        if incident_id not in ids and not any(_is_same(incident, one) for one in known)
    ]
    if not fresh:
        return 0
    body = message(fresh, page_url, now) | {"title": f"{_count(len(fresh), 'incident')} found in files"}
    key = _key("batch", [(incident.incident_id, incident.state, 0) for incident in fresh])
    with store.write() as connection:
        enqueue(connection, key, channels, body, now)
        for incident in fresh:
            payment_store.save_incident(connection, incident.incident_id, payment_store.BATCH, list(incident), now)
            payment_store.mark_notified(connection, incident.incident_id, incident.state, now)
            payment_store.mark_settled(connection, incident.incident_id)
    return len(fresh)


def message(incidents: Sequence[Incident], page_url: str | None, now: dt.datetime) -> dict[str, Any]:
    """What is told of some incidents, for a channel to put into its own form; plain values.

    title, severity, state (firing while any of them is), page_url, told_at, incidents (at most `MOST_NAMED`: what,
    since, until, severity, state, reason, incident_id), left_out.
    """
    firing = [incident for incident in incidents if incident.state == FIRING]
    worst = CRITICAL if any(incident.severity == CRITICAL for incident in incidents) else incidents[0].severity
    names = ", ".join(dict.fromkeys(series_name(incident.series) for incident in incidents))
    verb = {FIRING: "out of the ordinary", RESOLVED: "back to usual", WITHDRAWN: "not out of the ordinary after all"}
    state = FIRING if firing else incidents[0].state
    title = f"{names} {verb[state]}"
    return {
        "title": title[:1].upper() + title[1:],
        "severity": worst,
        "state": state,
        "page_url": page_url,
        "told_at": now.isoformat(timespec="seconds"),
        "incidents": [
            {
                "incident_id": incident.incident_id,
                "series": incident.series,
                "what": series_name(incident.series),
                "since": f"{incident.started_at:%Y-%m-%d %H:%M} UTC",
                "until": None if incident.ended_at is None else f"{incident.ended_at:%Y-%m-%d %H:%M} UTC",
                "severity": incident.severity,
                "state": incident.state,
                "reason": incident.reason,
            }
            for incident in incidents[:MOST_NAMED]
        ],
        "left_out": max(len(incidents) - MOST_NAMED, 0),
    }


def _write(
    connection: sqlite3.Connection,
    group_id: str,
    pairs: Sequence[tuple[Incident, payment_store.StoredIncident]],
    channels: Sequence[str],
    body: Mapping[str, Any],
    now: dt.datetime,
) -> None:
    key = _key(group_id, [(one.incident_id, incident.state, one.told_times) for incident, one in pairs])
    enqueue(connection, key, channels, body, now)
    for incident, one in pairs:
        payment_store.mark_notified(connection, one.incident_id, incident.state, now)
        if incident.state != FIRING:
            payment_store.mark_settled(connection, one.incident_id)


def _told(one: payment_store.StoredIncident) -> Notification | None:
    if one.told_at is None or one.told_state is None:
        return None
    return Notification(one.told_at, one.told_state, one.acknowledged_at)


def _key(group_id: str, told: Sequence[tuple[str, str, int]]) -> str:
    """The same for the same news, another for a repeat of it."""
    return f"{group_id}-{hashlib.sha256(repr(sorted(told)).encode()).hexdigest()[:16]}"


def _of_frame(incidents: pd.DataFrame) -> list[tuple[str, Incident]]:
    """Incidents of the table as the engine knows them, the one that began first before."""
    found = []
    for row in incidents.sort_values(["started_at", "series"]).to_dict("records"):  # a few incidents
        ended = None if pd.isna(row["ended_at"]) else to_minute(row["ended_at"])
        detected = to_minute(row["detected_at"])
        incident = Incident(
            str(row["series"]),
            FIRING if ended is None else RESOLVED,
            to_minute(row["started_at"]),
            detected,
            detected if ended is None else ended - 1,
            0,
            str(row["severity"]),
            float(row["peak_score"]),
            float(row["expected"]),
            int(row["observed"]),
            int(row["window_minutes"]),
            str(row["rule"]),
            str(row["group_id"]),
            ended,
        )
        found.append((str(row["incident_id"]), incident))
    return found


def _is_same(incident: Incident, one: payment_store.StoredIncident) -> bool:
    """Whether the live feed told of the same series at the same time."""
    if one.told_at is None or one.fields["series"] != incident.series:
        return False
    ended, other_ended = incident.ended_minute, one.fields["ended_minute"]
    return (other_ended is None or other_ended > incident.started_minute) and (
        ended is None or ended > one.fields["started_minute"]
    )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
