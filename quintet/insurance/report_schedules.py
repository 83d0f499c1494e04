"""Scheduled reports: who gets which report when, and the messages of those that are due."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quintet.insurance.schedule_times import Timing, UnusableScheduleError
from quintet.state.outbox import at_text, enqueue
from quintet.state.retention import Retention
from quintet.state.store import Connection, StateStore

CHANNEL = "reports"
"""The outbox channel of scheduled reports."""

PREMIUM, REVIEW = "premium", "insurance_review"
FORMATS: Mapping[str, tuple[str, ...]] = {PREMIUM: ("xlsx", "csv"), REVIEW: ("pdf",)}
"""The reports that can be scheduled, with their formats. The review is of the whole book and has no filter."""

MOST_OF_A_KEY = 100

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")

MIGRATIONS = (
    """
    create table if not exists report_schedules (
        schedule_id integer primary key,
        key_id text not null,
        created_by text not null,
        created_at text not null,
        report text not null,
        filters text not null,
        format text not null,
        recipient text not null,
        as_link integer not null,
        every text not null,
        day integer not null,
        "at" text not null,
        zone text not null,
        next_at text not null,
        ended_at text,
        ended_because text
    ) strict;
    create index if not exists report_schedules_by_time on report_schedules (ended_at, next_at);
    """,
)
"""The migrations of the state store."""

RETENTION = (
    Retention(
        "report_schedules", "An active one stays; an ended one shows who got what.", "ended_at", "ended_at is not null"
    ),
)
"""How long the rows of these tables stay."""


@dataclass(frozen=True)
class Wanted:
    """What somebody wants to get. filters: of the report, by name. as_link: the mail has a link instead of the file.

    Raises UnusableScheduleError for what cannot be sent.
    """

    report: str
    filters: Mapping[str, Any]
    format: str
    recipient: str
    as_link: bool
    timing: Timing

    def __post_init__(self) -> None:
        """Check the report, its format and the address."""
        if self.report not in FORMATS:
            raise UnusableScheduleError(f"report: there is no {self.report[:40]!r}; there are {', '.join(FORMATS)}")
        if self.format not in FORMATS[self.report]:
            formats = ", ".join(FORMATS[self.report])
            raise UnusableScheduleError(f"format: {self.report} is not written as {self.format!r}; choose {formats}")
        if self.filters and self.report == REVIEW:
            raise UnusableScheduleError(f"filters: {REVIEW} is of the whole book; schedule {PREMIUM} with filters")
        if not _ADDRESS.fullmatch(self.recipient):
            raise UnusableScheduleError("recipient: it is not one e-mail address; write one like ana@example.org")


@dataclass(frozen=True)
class Schedule:
    """A scheduled report. key_id: of the key that scheduled it, whose rows it shows. Times are UTC."""

    schedule_id: int
    key_id: str
    created_by: str
    created_at: dt.datetime
    request: Wanted
    next_at: dt.datetime
    ended_at: dt.datetime | None
    ended_because: str | None


def add_schedule(store: StateStore, key_id: str, name: str, request: Wanted, now: dt.datetime) -> Schedule:
    """Record a schedule of a key. Raises UnusableScheduleError if the key has too many."""
    timing = request.timing
    with store.write() as connection:
        ((count,),) = connection.execute(
            "select count(*) from report_schedules where key_id = ? and ended_at is null", (key_id,)
        ).fetchall()
        if count >= MOST_OF_A_KEY:
            raise UnusableScheduleError(f"this key has {count} schedules, the most of a key; end one first")
        row = connection.execute(
            "insert into report_schedules "
            "(key_id, created_by, created_at, report, filters, format, recipient, as_link, "
            'every, day, "at", zone, next_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) returning *',
            (
                *(key_id, name, at_text(now), request.report, json.dumps(request.filters, sort_keys=True)),
                *(request.format, request.recipient, int(request.as_link), timing.every, timing.day, timing.at),
                *(timing.zone, at_text(timing.next_after(now))),
            ),
        ).fetchone()
    return _schedule(row)


def schedules(store: StateStore, key_id: str | None = None) -> list[Schedule]:
    """Return the active schedules, of one key or of all, the next one due first."""
    of_key = "" if key_id is None else " and key_id = ?"
    rows = store.read().execute(
        f"select * from report_schedules where ended_at is null{of_key} order by next_at, schedule_id",
        () if key_id is None else (key_id,),
    )
    return [_schedule(row) for row in rows]


def find_schedule(store: StateStore, schedule_id: int) -> Schedule | None:
    """Return a schedule, active or ended; None if there is none."""
    row = store.read().execute("select * from report_schedules where schedule_id = ?", (schedule_id,)).fetchone()
    return None if row is None else _schedule(row)


def end_schedule(store: StateStore, schedule_id: int, now: dt.datetime, because: str) -> bool:
    """End a schedule; return whether it was active."""
    with store.write() as connection:
        return end_in(connection, schedule_id, now, because)


def end_in(connection: Connection, schedule_id: int, now: dt.datetime, because: str) -> bool:
    """End a schedule within the caller's transaction; return whether it was active."""
    done = connection.execute(
        "update report_schedules set ended_at = ?, ended_because = ? where schedule_id = ? and ended_at is null",
        (at_text(now), because, schedule_id),
    )
    return bool(done.rowcount)


def enqueue_due(store: StateStore, now: dt.datetime) -> int:
    """Write a message for each report that is due, and plan its next time; return how many.

    A message and the next time are one transaction: with several services, or after a kill, a report is due once. What
    was missed while no service ran is sent once.
    """
    due = "select * from report_schedules where ended_at is null and next_at <= ? order by next_at, schedule_id"
    if not store.read().execute(f"{due} limit 1", (at_text(now),)).fetchone():
        return 0
    count = 0
    with store.write() as connection:
        for row in connection.execute(due, (at_text(now),)).fetchall():
            one = _schedule(row)
            moved = connection.execute(
                "update report_schedules set next_at = ? where schedule_id = ? and next_at = ?",
                (at_text(one.request.timing.next_after(now)), one.schedule_id, row["next_at"]),
            )
            if moved.rowcount:
                key = f"report {one.schedule_id} {row['next_at']}"
                enqueue(connection, key, [CHANNEL], {"schedule_id": one.schedule_id}, now)
                count += 1
    return count


def _schedule(row: Any) -> Schedule:
    return Schedule(
        row["schedule_id"],
        row["key_id"],
        row["created_by"],
        dt.datetime.fromisoformat(row["created_at"]),
        Wanted(
            row["report"],
            json.loads(row["filters"]),
            row["format"],
            row["recipient"],
            bool(row["as_link"]),
            Timing(row["every"], row["day"], row["at"], row["zone"]),
        ),
        dt.datetime.fromisoformat(row["next_at"]),
        dt.datetime.fromisoformat(row["ended_at"]) if row["ended_at"] else None,
        row["ended_because"],
    )
