"""Which channels were notified of an incident, in the state store: each step of an escalation is sent once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from quintet.state.outbox import at_text
from quintet.state.retention import Retention
from quintet.state.store import Connection, StateStore

TABLE = """
    alter table payment_incidents add column first_notified_at text;
    create table if not exists payment_notified_channels (
        incident_id text not null,
        channel text not null,
        notified_at text not null,
        primary key (incident_id, channel)
    ) strict, without rowid;
    """

RETENTION_OF_TABLE = Retention(
    "payment_notified_channels",
    "They stay as long as their incident.",
    "notified_at",
    "incident_id not in (select incident_id from payment_incidents)",
)


def notified_channels(store: StateStore, incident_ids: Iterable[str]) -> dict[str, set[str]]:
    """Return the channels that were notified of incidents, by incident_id."""
    found: dict[str, set[str]] = {one: set() for one in incident_ids}
    if found:
        rows = store.read().execute(
            "select incident_id, channel from payment_notified_channels "
            f"where incident_id in ({', '.join('?' * len(found))})",
            tuple(found),
        )
        for row in rows.fetchall():
            found[row["incident_id"]].add(row["channel"])
    return found


def mark_channels(connection: Connection, incident_id: str, channels: Iterable[str], now: dt.datetime) -> None:
    """Record that channels were notified of an incident."""
    connection.executemany(
        "insert into payment_notified_channels (incident_id, channel, notified_at) values (?, ?, ?) "
        "on conflict (incident_id, channel) do nothing",
        [(incident_id, channel, at_text(now)) for channel in channels],
    )
