"""Silences: which incidents send no messages, and when; and their table in the state store."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from quintet.payments.explanation_values import Explained
from quintet.payments.incidents import Incident, to_minute
from quintet.payments.opening_hours import OpeningHours, opening_hours
from quintet.state.outbox import at_text
from quintet.state.store import Connection, StateStore

ADDED_COLUMNS = """
    alter table payment_silences add column severity text;
    alter table payment_silences add column labels text;
    alter table payment_silences add column weekly text;
    alter table payment_silences add column time_zone text;
    """

LEAST_SHARE = 0.5
"""The least share of an incident's excess that the values of a silence must explain."""

_REPEATED = dt.timedelta(minutes=1)

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Silence:
    """No notifications about the incidents that match, from `starts_at` until `expires_at`, UTC.

    series, severity: None matches all. values: by dimension, the values that an incident may be explained by. weekly:
    the windows in which it is active each week, in `time_zone`, like `mon-fri 22:00-02:00`; empty: all the time.
    """

    series: str | None
    starts_at: dt.datetime
    expires_at: dt.datetime
    created_by: str = ""
    comment: str = ""
    severity: str | None = None
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    weekly: str = ""
    time_zone: str = "UTC"
    silence_id: int = 0

    def is_active(self, now: dt.datetime) -> bool:
        """Return whether it suppresses notifications now."""
        if not self.starts_at <= now < self.expires_at:
            return False
        if not self.weekly:
            return True
        hours = _hours(self.time_zone, self.weekly)
        return bool(hours.is_open(hours.to_local(to_minute(now))))

    def matches(self, incident: Incident, explained: Sequence[Explained] = ()) -> bool:
        """Return whether it covers an incident, which `explained` explains.

        With values, all that explain the incident must be among them, and explain most of it: an incident that also
        has another cause is notified.
        """
        if self.series not in (None, incident.series) or self.severity not in (None, incident.severity):
            return False
        if not self.values:
            return True
        named = {one.dimension for one in explained}
        is_known = all(one.value in self.values.get(one.dimension, ()) for one in explained)
        return is_known and named == set(self.values) and sum(one.share for one in explained) >= LEAST_SHARE


@lru_cache(maxsize=256)
def _hours(time_zone: str, weekly: str) -> OpeningHours:
    return opening_hours(time_zone, weekly, "")


def is_silenced(
    incident: Incident, silences: Iterable[Silence], now: dt.datetime, explained: Sequence[Explained] = ()
) -> bool:
    """Return whether an active silence covers the incident."""
    return any(silence.matches(incident, explained) and silence.is_active(now) for silence in silences)


def weekly_window(starts_at: dt.datetime, minutes: int, time_zone: str) -> str:
    """Return the weekly window that begins at the hour of the week of `starts_at` on the clocks of a time zone.

    minutes: how long it lasts, at most a day.
    """
    hours = OpeningHours(time_zone)
    first = hours.to_local(to_minute(starts_at))
    weekday = (first // 1_440 + 3) % 7  # 1970-01-01 was a Thursday
    begin, end = first % 1_440, (first + minutes) % 1_440
    return f"{_DAYS[weekday]} {begin // 60:02d}:{begin % 60:02d}-{end // 60:02d}:{end % 60:02d}"


# -- the state store ---------------------------------------------------------------------------------------------------


def add_silence(connection: Connection, silence: Silence, incident_id: str | None = None) -> Silence:
    """Write a silence, with the incident whose verdict made it, if any; return it with its id."""
    ((silence_id,),) = connection.execute(
        "insert into payment_silences (series, starts_at, expires_at, created_by, comment, incident_id, severity, "
        "labels, weekly, time_zone) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) returning silence_id",
        (
            silence.series,
            at_text(silence.starts_at),
            at_text(silence.expires_at),
            silence.created_by,
            silence.comment,
            incident_id,
            silence.severity,
            json.dumps({name: list(values) for name, values in silence.values.items()}, sort_keys=True),
            silence.weekly,
            silence.time_zone,
        ),
    ).fetchall()
    return replace(silence, silence_id=silence_id)


def request_silence(store: StateStore, silence: Silence) -> Silence:
    """Write a silence that a person asks for; the same request again within a minute gets the same silence."""
    with store.write() as connection:
        for one in silences(store, silence.starts_at):
            is_near = max(abs(one.starts_at - silence.starts_at), abs(one.expires_at - silence.expires_at)) < _REPEATED
            same = replace(one, silence_id=0, starts_at=silence.starts_at, expires_at=silence.expires_at)
            if is_near and same == silence:
                return one
        return add_silence(connection, silence)


def end_silence(store: StateStore, silence_id: int, now: dt.datetime) -> bool:
    """End a silence now; return False if none of this id is active or to begin."""
    with store.write() as connection:
        cursor = connection.execute(
            "update payment_silences set expires_at = ? where silence_id = ? and expires_at > ?",
            (at_text(now), silence_id, at_text(now)),
        )
    return bool(cursor.rowcount == 1)


def end_silences_of(connection: Connection, incident_id: str, now: dt.datetime) -> None:
    """End the silences that the verdict on an incident made."""
    connection.execute(
        "update payment_silences set expires_at = ? where incident_id = ? and expires_at > ?",
        (at_text(now), incident_id, at_text(now)),
    )


def silences(store: StateStore, now: dt.datetime) -> list[Silence]:
    """Return the current and future silences, by their end."""
    rows = store.read().execute(
        "select * from payment_silences where expires_at > ? order by expires_at, silence_id", (at_text(now),)
    )
    return [_silence(row) for row in rows.fetchall()]


def _silence(row: Any) -> Silence:
    starts_at = dt.datetime.fromisoformat(row["starts_at"])
    weekly = row["weekly"] or ""
    if not weekly and row["window_minutes"] is not None:  # of a version without windows in a time zone
        weekly = weekly_window(starts_at, row["window_minutes"], "UTC")
    return Silence(
        row["series"],
        starts_at,
        dt.datetime.fromisoformat(row["expires_at"]),
        row["created_by"],
        row["comment"],
        row["severity"],
        {name: tuple(values) for name, values in json.loads(row["labels"] or "{}").items()},
        weekly,
        row["time_zone"] or "UTC",
        row["silence_id"],
    )
