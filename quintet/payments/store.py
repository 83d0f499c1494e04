"""Live payments in the state store: inputs and checkpoints of the detector, points, incidents.

The state of the detector is a checkpoint and the inputs after it: applying them in order restores it.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quintet.payments import escalation, losses, silences, slice_tables, verdicts
from quintet.state.dialect import Script
from quintet.state.outbox import at_text
from quintet.state.retention import Retention
from quintet.state.store import Connection, StateStore

MIGRATIONS = (
    """
    create table if not exists payment_checkpoint (
        one integer primary key check (one = 1),
        input_id integer not null,
        state text not null
    ) strict;
    create table if not exists payment_inputs (
        input_id integer primary key,
        minute integer not null,
        counts text
    ) strict;
    create table if not exists payment_transactions (
        transaction_id text not null,
        status text not null,
        minute integer not null,
        primary key (transaction_id, status)
    ) strict, without rowid;
    create index if not exists payment_transactions_by_minute on payment_transactions (minute);
    create table if not exists payment_points (
        minute integer not null,
        series text not null,
        score real not null,
        expected real not null,
        observed integer not null,
        window_minutes integer not null,
        minute_count integer not null,
        lower real not null,
        upper real not null,
        exposure integer not null,
        rule text not null,
        is_anomalous integer not null,
        is_sustained integer not null,
        is_elevated integer not null,
        is_bad integer not null,
        started_minute integer not null,
        primary key (minute, series)
    ) strict, without rowid;
    create table if not exists payment_incidents (
        incident_id text primary key,
        source text not null check (source in ('live', 'batch')),
        series text not null,
        state text not null,
        started_minute integer not null,
        detected_minute integer not null,
        last_bad_minute integer not null,
        quiet_minutes integer not null,
        severity text not null,
        peak_score real not null,
        expected real not null,
        observed integer not null,
        window_minutes integer not null,
        rule text not null,
        group_id text not null,
        ended_minute integer,
        first_seen_at text not null,
        acknowledged_at text,
        acknowledged_by text,
        told_at text,
        told_state text,
        told_times integer not null default 0,
        is_settled integer not null default 0
    ) strict, without rowid;
    create index if not exists payment_incidents_by_start on payment_incidents (started_minute);
    create table if not exists payment_silences (
        silence_id integer primary key,
        series text,
        starts_at text not null,
        expires_at text not null,
        created_by text not null,
        comment text not null
    ) strict;
    """,
    Script(
        """
        alter table payment_incidents rename column told_at to notified_at;
        alter table payment_incidents rename column told_state to notified_state;
        alter table payment_incidents rename column told_times to notified_times;
        """,
        is_breaking=True,
    ),
    "alter table payment_incidents add column notified_severity text;",
    """
    alter table payment_silences add column window_minutes integer;
    alter table payment_silences add column incident_id text;
    """,
    verdicts.TABLE,
    slice_tables.TABLES,
    silences.ADDED_COLUMNS,
    escalation.TABLE,
    losses.TABLE,
)
"""The scripts that create the tables below in the state store."""

RETENTION = (
    Retention("payment_checkpoint", "One row."),
    Retention("payment_inputs", "Each checkpoint removes those before it."),
    Retention("payment_transactions", "Each minute removes those that are too old to be counted."),
    Retention("payment_points", "Each minute removes those that are too old to be shown."),
    Retention("payment_incidents", "People look back at ended ones.", "first_seen_at", "state <> 'firing'"),
    Retention("payment_silences", "People look back at ended ones.", "expires_at"),
    verdicts.RETENTION_OF_TABLE,
    *slice_tables.RETENTION_OF_TABLES,
    escalation.RETENTION_OF_TABLE,
    losses.RETENTION_OF_TABLE,
)
"""How long the rows of these tables stay."""

POINT_FIELDS = (
    *("series", "minute", "score", "expected", "observed", "window_minutes", "minute_count", "lower", "upper"),
    *("exposure", "rule", "is_anomalous", "is_sustained", "is_elevated", "is_bad", "started_minute"),
)
INCIDENT_FIELDS = (
    *("series", "state", "started_minute", "detected_minute", "last_bad_minute", "quiet_minutes", "severity"),
    *("peak_score", "expected", "observed", "window_minutes", "rule", "group_id", "ended_minute"),
)

LIVE, BATCH = "live", "batch"

_ALL = 2**62

_INSERT_POINT = (
    f"insert into payment_points ({', '.join(POINT_FIELDS)}) values ({', '.join('?' * len(POINT_FIELDS))}) "
    "on conflict (minute, series) do update set "
    + ", ".join(f"{name} = excluded.{name}" for name in POINT_FIELDS if name not in ("minute", "series"))
)
_INSERT_INCIDENT = (
    f"insert into payment_incidents (incident_id, source, first_seen_at, {', '.join(INCIDENT_FIELDS)}) "
    f"values (?, ?, ?, {', '.join('?' * len(INCIDENT_FIELDS))}) on conflict (incident_id) do update set "
    + ", ".join(f"{name} = excluded.{name}" for name in INCIDENT_FIELDS)
    + ", is_settled = case when excluded.state = 'firing' then 0 else payment_incidents.is_settled end"
)


@dataclass(frozen=True)
class StoredIncident:
    """An incident with its acknowledgement and notifications. Times are UTC.

    fields: by `INCIDENT_FIELDS`. is_settled: it needs no more notifications.
    """

    incident_id: str
    source: str
    fields: Mapping[str, Any]
    first_seen_at: dt.datetime
    acknowledged_at: dt.datetime | None
    acknowledged_by: str | None
    notified_at: dt.datetime | None
    first_notified_at: dt.datetime | None
    notified_state: str | None
    notified_severity: str | None
    notified_times: int
    is_settled: bool


# -- the detector's state ----------------------------------------------------------------------------------------------


def add_inputs(connection: Connection, inputs: Iterable[tuple[int, Mapping[str, int] | None]]) -> int:
    """Add inputs in order: a minute with counts, or with None if it was closed; return the id of the last one."""
    last = 0
    for minute, counts in inputs:
        ((last,),) = connection.execute(
            "insert into payment_inputs (minute, counts) values (?, ?) returning input_id",
            (minute, None if counts is None else json.dumps(counts)),
        ).fetchall()
    return last


def save_checkpoint(connection: Connection, input_id: int, state: Mapping[str, Any]) -> None:
    """Save the state after the input `input_id`, and delete the inputs before it."""
    connection.execute(
        "insert into payment_checkpoint (one, input_id, state) values (1, ?, ?) "
        "on conflict (one) do update set input_id = excluded.input_id, state = excluded.state",
        (input_id, json.dumps(state)),
    )
    # the last one stays, for ids to continue from it
    connection.execute("delete from payment_inputs where input_id < ?", (input_id,))


def load_state(store: StateStore) -> tuple[dict[str, Any] | None, list[tuple[int, int, dict[str, int] | None]]]:
    """Return the state of the last checkpoint, if any, and the inputs after it: id, minute, counts."""
    row = store.read().execute("select input_id, state from payment_checkpoint").fetchone()
    after = row["input_id"] if row else 0
    inputs = (
        store.read().execute("select * from payment_inputs where input_id > ? order by input_id", (after,)).fetchall()
    )
    return (
        json.loads(row["state"]) if row else None,
        [_input(one) for one in inputs],
    )


def inputs_after(connection: Connection, input_id: int) -> list[tuple[int, int, dict[str, int] | None]] | None:
    """Return the inputs after `input_id`: id, minute, counts; None if a checkpoint has removed some of them."""
    ((first, last),) = connection.execute(
        "select coalesce(min(input_id), 0), coalesce(max(input_id), 0) from payment_inputs"
    ).fetchall()
    if last == input_id:
        return []
    if first > input_id:
        return None
    rows = connection.execute("select * from payment_inputs where input_id > ? order by input_id", (input_id,))
    return [_input(row) for row in rows.fetchall()]


def _input(row: Any) -> tuple[int, int, dict[str, int] | None]:
    return row["input_id"], row["minute"], json.loads(row["counts"]) if row["counts"] else None


def last_input(store: StateStore) -> int:
    """Return the id of the last input, 0 before the first."""
    (last,) = store.read().execute("select coalesce(max(input_id), 0) from payment_inputs").fetchone()
    return int(last)


def add_transaction(connection: Connection, transaction_id: str, status: str, minute: int) -> bool:
    """Record that a transaction was counted; return False if it was already."""
    cursor = connection.execute(
        "insert into payment_transactions (transaction_id, status, minute) values (?, ?, ?) on conflict do nothing",
        (transaction_id, status, minute),
    )
    return cursor.rowcount == 1


def transaction_counts(store: StateStore, since_minute: int) -> dict[tuple[int, str], int]:
    """Return how many transactions were counted, by minute and status."""
    rows = store.read().execute(
        "select minute, status, count(*) as count from payment_transactions where minute >= ? group by minute, status",
        (since_minute,),
    )
    return {(row["minute"], row["status"]): row["count"] for row in rows}


def forget_before(connection: Connection, points_minute: int, transactions_minute: int) -> None:
    """Delete points and counted transactions of earlier minutes."""
    connection.execute("delete from payment_points where minute < ?", (points_minute,))
    connection.execute("delete from payment_transactions where minute < ?", (transactions_minute,))


# -- points ------------------------------------------------------------------------------------------------------------


def save_points(connection: Connection, points: Iterable[Sequence[Any]]) -> None:
    """Write points, in the order of `POINT_FIELDS`, over those of the same minute and series."""
    connection.executemany(_INSERT_POINT, points)


def points(
    store: StateStore,
    since_minute: int,
    until_minute: int,
    series: Sequence[str] = (),
    after: tuple[int, str] | None = None,
    limit: int = _ALL,
) -> list[tuple[Any, ...]]:
    """Return points from `since_minute` to before `until_minute`, by minute and series, as `POINT_FIELDS`."""
    minute, name = after or (since_minute - 1, "")
    among = f"and series in ({', '.join('?' * len(series))}) " if series else ""
    rows = store.read().execute(
        f"select {', '.join(POINT_FIELDS)} from payment_points where minute >= ? and minute < ? "
        f"and (minute, series) > (?, ?) {among}order by minute, series limit ?",
        (since_minute, until_minute, minute, name, *series, limit),
    )
    return [tuple(row) for row in rows]


def last_point_minute(store: StateStore) -> int | None:
    """Return the last minute with a point; None without any."""
    (minute,) = store.read().execute("select max(minute) from payment_points").fetchone()
    return None if minute is None else int(minute)


# -- incidents ---------------------------------------------------------------------------------------------------------


def save_incident(
    connection: Connection, incident_id: str, source: str, fields: Sequence[Any], now: dt.datetime
) -> None:
    """Write an incident, `fields` by `INCIDENT_FIELDS`; its acknowledgement and notifications stay."""
    connection.execute(_INSERT_INCIDENT, (incident_id, source, at_text(now), *fields))


def incidents(
    store: StateStore, since_minute: int | None = None, only_unsettled: bool = False, limit: int = _ALL
) -> list[StoredIncident]:
    """Return the incidents that ended after a minute or are open, the latest first."""
    where = ["true"]
    values: list[Any] = []
    if since_minute is not None:
        where.append("(ended_minute is null or ended_minute > ?)")
        values.append(since_minute)
    if only_unsettled:
        where.append("is_settled = 0")
    rows = store.read().execute(
        f"select * from payment_incidents where {' and '.join(where)} "
        "order by started_minute desc, incident_id limit ?",
        (*values, limit),
    )
    return [_incident(row) for row in rows]


def incident(store: StateStore, incident_id: str) -> StoredIncident | None:
    """Return the incident of this id, None if there is none."""
    row = store.read().execute("select * from payment_incidents where incident_id = ?", (incident_id,)).fetchone()
    return None if row is None else _incident(row)


def mark_notified(connection: Connection, incident_id: str, state: str, severity: str, now: dt.datetime) -> None:
    """Record that the team was notified of an incident in this state and severity."""
    connection.execute(
        "update payment_incidents set notified_at = ?, notified_state = ?, notified_severity = ?, "
        "notified_times = notified_times + 1, first_notified_at = coalesce(first_notified_at, ?) where incident_id = ?",
        (at_text(now), state, severity, at_text(now), incident_id),
    )


def mark_settled(connection: Connection, incident_id: str) -> None:
    """Record that an incident needs no more notifications."""
    connection.execute("update payment_incidents set is_settled = 1 where incident_id = ?", (incident_id,))


def acknowledge(store: StateStore, incident_id: str, who: str, now: dt.datetime) -> bool:
    """Acknowledge an incident; the first acknowledgement stays. Return False if there is no such incident."""
    with store.write() as connection:
        connection.execute(
            "update payment_incidents set acknowledged_at = ?, acknowledged_by = ? "
            "where incident_id = ? and acknowledged_at is null",
            (at_text(now), who, incident_id),
        )
        found = connection.execute("select 1 from payment_incidents where incident_id = ?", (incident_id,)).fetchone()
    return found is not None


def _incident(row: Any) -> StoredIncident:
    def moment(name: str) -> dt.datetime | None:
        return dt.datetime.fromisoformat(row[name]) if row[name] else None

    return StoredIncident(
        incident_id=row["incident_id"],
        source=row["source"],
        fields={name: row[name] for name in INCIDENT_FIELDS},
        first_seen_at=dt.datetime.fromisoformat(row["first_seen_at"]),
        acknowledged_at=moment("acknowledged_at"),
        acknowledged_by=row["acknowledged_by"],
        notified_at=moment("notified_at"),
        first_notified_at=moment("first_notified_at"),
        notified_state=row["notified_state"],
        notified_severity=row["notified_severity"],
        notified_times=row["notified_times"],
        is_settled=bool(row["is_settled"]),
    )
