"""Notifications: which incidents are due, and their messages in the outbox.

An incident is reported after `GROUP_WAIT`, to group incidents of one cause into one message and to skip those that late
counts withdraw at once. It is reported again every four hours until somebody acknowledges it, and when it ends. The
message and the record that it was sent are written in one transaction: none is lost and none is written twice.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType
from typing import Any

import pandas as pd

from quintet.payments import slices
from quintet.payments import store as payment_store
from quintet.payments.escalation import mark_channels, notified_channels
from quintet.payments.escalation_steps import AT_ONCE, Escalation
from quintet.payments.explanation_values import Explained, in_words
from quintet.payments.incidents import (
    CRITICAL,
    FIRING,
    RESOLVED,
    WARNING,
    WITHDRAWN,
    Incident,
    Notification,
    elapsed,
    is_due,
    series_name,
    to_minute,
)
from quintet.payments.losses import BY_SHARE, Losses
from quintet.payments.silences import is_silenced, silences
from quintet.presentation.wording import counted, lasting
from quintet.state.outbox import enqueue
from quintet.state.store import Connection, StateStore

GROUP_WAIT = dt.timedelta(seconds=2)

MOST_NAMED = 20
"""Incidents named in one message; the rest are counted."""


def notify(
    store: StateStore,
    channels: Sequence[str],
    page_url: str | None,
    now: dt.datetime,
    escalation: Escalation = AT_ONCE,
    losses: Losses = BY_SHARE,
) -> int:
    """Write the due notifications into the outbox, for each channel; return how many. now: UTC, with its zone.

    escalation: which channels are notified when; all at once by default. losses: from which a message states a loss.
    Without a channel everything counts as sent, so a channel that is added later starts with new incidents.
    """
    if not _unsettled(store):
        return 0
    with store.write() as connection:  # another service may be about to write the same
        return _notify(store, connection, channels, page_url, now, escalation, losses)


def _unsettled(store: StateStore) -> list[payment_store.StoredIncident]:
    return [one for one in payment_store.incidents(store, only_unsettled=True) if one.source == payment_store.LIVE]


def _notify(
    store: StateStore,
    connection: Connection,
    channels: Sequence[str],
    page_url: str | None,
    now: dt.datetime,
    escalation: Escalation,
    losses: Losses,
) -> int:
    unsettled = _unsettled(store)
    current = silences(store, now)
    ids = [one.incident_id for one in unsettled]
    explained, reached = slices.explanations(store, ids), notified_channels(store, ids)
    due: list[_Due] = []
    done: list[str] = []
    for one in unsettled:
        incident = Incident(**one.fields)
        last = _last_notification(one)
        if elapsed(one.first_seen_at, now) < GROUP_WAIT and last is None:
            continue
        is_silent = is_silenced(incident, current, now, explained.get(one.incident_id, ()))
        waited = elapsed(one.first_notified_at or now, now)
        before = reached[one.incident_id]
        # One that ended within the wait, as when a file is sent, is reported once, as ended.
        ended_unsent = last is None and incident.state == RESOLVED
        if not is_silent and (ended_unsent or is_due(incident, last, now) or _is_worse(incident, one)):
            is_waiting = incident.state == FIRING and one.acknowledged_at is None
            at_once = escalation.reached(channels, waited if is_waiting else dt.timedelta(), now)
            new = at_once if is_waiting or not before else ()
            due.append(_Due(incident, one, tuple(name for name in channels if name in before or name in new)))
        elif incident.state in (RESOLVED, WITHDRAWN):
            if not (is_silent and last is not None):
                done.append(one.incident_id)  # an end within a silence is reported after it, if the start was
        elif last is not None and one.acknowledged_at is None and not is_silent:
            later = tuple(name for name in escalation.later(channels, waited, now) if name not in before)
            due += [_Due(incident, one, later, waited)] if later else []
    due.sort(key=lambda one: (*one.message, one.incident.started_minute, one.incident.series))
    messages = 0
    for _, together in groupby(due, key=lambda one: one.message):
        of_message = list(together)
        body = message([one.incident for one in of_message], page_url, now, explained, losses)
        if of_message[0].waited is not None:
            body["title"] = f"Not acknowledged for {lasting(of_message[0].waited.total_seconds())}: {body['title']}"
        _write(connection, of_message, body, now)
        messages += 1
    for incident_id in done:
        payment_store.mark_settled(connection, incident_id)
    return messages


@dataclass(frozen=True)
class _Due:
    """An incident to report to some channels. waited: for an acknowledgement, if that is why it is reported."""

    incident: Incident
    stored: payment_store.StoredIncident
    channels: tuple[str, ...]
    waited: dt.timedelta | None = None

    @property
    def message(self) -> tuple[str, bool, tuple[str, ...]]:
        """What the incidents of one message have in common."""
        return self.incident.group_id, self.waited is not None, self.channels


def notify_batch(
    store: StateStore, incidents: pd.DataFrame, channels: Sequence[str], page_url: str | None, now: dt.datetime
) -> int:
    """Write one message about the incidents that a run found in files; return how many are new.

    incidents: as `marts.fct_payment_incidents`. Those that an earlier run reported, and those of a series that the live
    feed reported for the same time, are left out.
    """
    known = payment_store.incidents(store)
    ids = {one.incident_id for one in known if one.is_settled or one.notified_at}
    fresh = [
        incident
        for incident_id, incident in _of_frame(incidents)
        if incident_id not in ids and not any(_is_same(incident, one) for one in known)
    ]
    if not fresh:
        return 0
    body = message(fresh, page_url, now) | {"title": f"{counted(len(fresh), 'incident')} found in files"}
    key = _key("batch", [(incident.incident_id, incident.state, 0) for incident in fresh])
    with store.write() as connection:
        enqueue(connection, key, channels, body, now)
        for incident in fresh:
            payment_store.save_incident(connection, incident.incident_id, payment_store.BATCH, list(incident), now)
            payment_store.mark_notified(connection, incident.incident_id, incident.state, incident.severity, now)
            payment_store.mark_settled(connection, incident.incident_id)
    return len(fresh)


def message(
    incidents: Sequence[Incident],
    page_url: str | None,
    now: dt.datetime,
    explained: Mapping[str, Sequence[Explained]] = MappingProxyType({}),
    losses: Losses = BY_SHARE,
) -> dict[str, Any]:
    """Return the message about some incidents as JSON values, for a channel to format.

    title, severity, state (firing while any of them is), page_url, notified_at, incidents (at most `MOST_NAMED`: what,
    since, until, severity, state, reason, incident_id; where and values if values of dimensions explain it; loss and
    loss_per_hour if the value of a payment is known), left_out. explained: the values that explain incidents, by
    incident_id.
    """
    firing = [incident for incident in incidents if incident.state == FIRING]
    worst = CRITICAL if any(incident.severity == CRITICAL for incident in incidents) else incidents[0].severity
    state = FIRING if firing else incidents[0].state
    words = {FIRING: "anomalous", RESOLVED: "back to normal", WITHDRAWN: "alert withdrawn after late counts"}
    parts = []
    for each, word in words.items():
        names = dict.fromkeys(series_name(incident.series) for incident in incidents if incident.state == each)
        parts += [f"{', '.join(names)}: {word}"] if names else []
    title = "; ".join(parts)
    return {
        "title": title[:1].upper() + title[1:],
        "severity": worst,
        "state": state,
        "page_url": page_url,
        "notified_at": now.isoformat(timespec="seconds"),
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
                **_where(incident, explained.get(incident.incident_id, ())),
                **_loss(incident, losses),
            }
            for incident in incidents[:MOST_NAMED]
        ],
        "left_out": max(len(incidents) - MOST_NAMED, 0),
    }


def _loss(incident: Incident, losses: Losses) -> dict[str, Any]:
    words = losses.in_words(incident)
    return {"loss": words, "loss_per_hour": round(losses.per_hour(incident), 2)} if words else {}


def _where(incident: Incident, values: Sequence[Explained]) -> dict[str, Any]:
    if not values:
        return {}
    return {"where": in_words(values, incident.series), "values": [one.as_json() for one in values]}


def _write(connection: Connection, of_message: Sequence[_Due], body: Mapping[str, Any], now: dt.datetime) -> None:
    first = of_message[0]
    sent = [(one.stored.incident_id, one.incident.state, one.stored.notified_times) for one in of_message]
    group_id = first.incident.group_id if first.waited is None else f"{first.incident.group_id}-waiting"
    enqueue(connection, _key(group_id, sent), first.channels, body, now)
    for one in of_message:
        mark_channels(connection, one.stored.incident_id, one.channels, now)
        if one.waited is not None:
            continue
        state, severity = one.incident.state, one.incident.severity
        payment_store.mark_notified(connection, one.stored.incident_id, state, severity, now)
        if state != FIRING:
            payment_store.mark_settled(connection, one.stored.incident_id)


def _is_worse(incident: Incident, one: payment_store.StoredIncident) -> bool:
    """Return whether an incident that was reported as a warning has become critical; acknowledged or not."""
    return incident.state == FIRING and incident.severity == CRITICAL and one.notified_severity == WARNING


def _last_notification(one: payment_store.StoredIncident) -> Notification | None:
    if one.notified_at is None or one.notified_state is None:
        return None
    return Notification(one.notified_at, one.notified_state, one.acknowledged_at)


def _key(group_id: str, sent: Sequence[tuple[str, str, int]]) -> str:
    """Return the key of a message: equal for the same news, another for a repeat."""
    return f"{group_id}-{hashlib.sha256(repr(sorted(sent)).encode()).hexdigest()[:16]}"


def _of_frame(incidents: pd.DataFrame) -> list[tuple[str, Incident]]:
    """Return the incidents of a table with their ids, the earliest first."""
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
    """Return whether the live feed reported the same series at the same time."""
    if one.notified_at is None or one.fields["series"] != incident.series:
        return False
    ended, other_ended = incident.ended_minute, one.fields["ended_minute"]
    return (other_ended is None or other_ended > incident.started_minute) and (
        ended is None or ended > one.fields["started_minute"]
    )
