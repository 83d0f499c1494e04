"""Verdicts on incidents in the state store; an expected incident silences its hours of the week."""

from __future__ import annotations

import datetime as dt
from typing import Any

from quintet.cases.kind import Decided
from quintet.payments.incidents import to_datetime
from quintet.payments.settings import PaymentsSettings
from quintet.payments.silences import Silence, add_silence, end_silences_of, weekly_window
from quintet.state.outbox import at_text
from quintet.state.recorded import RecordedTable
from quintet.state.retention import Retention
from quintet.state.store import Connection

TRUE, FALSE, EXPECTED = "true", "false", "expected"

TABLE = """
    create table if not exists payment_verdicts (
        verdict_id integer primary key,
        incident_id text not null,
        series text,
        verdict text not null,
        cause text not null,
        detected_at text,
        ended_at text,
        acknowledged_at text,
        decided_at text not null,
        decided_by text not null
    ) strict;
    """
RETENTION_OF_TABLE = Retention("payment_verdicts", "The quality of the detector comes from them.")

RECORDED = (
    RecordedTable(
        "payment_verdicts",
        "ops",
        "Every verdict of a person on an incident: true, false or expected; the last one of an incident applies.",
        {
            "verdict_id": "bigint",
            "incident_id": "varchar",
            "series": "varchar",
            "verdict": "varchar",
            "cause": "varchar",
            "detected_at": "timestamp",
            "ended_at": "timestamp",
            "acknowledged_at": "timestamp",
            "decided_at": "timestamp",
            "decided_by": "varchar",
        },
        optional=frozenset({"series", "detected_at", "ended_at", "acknowledged_at"}),
    ),
)

_MARGIN = dt.timedelta(hours=1)
"""Silenced before and after the hours of an expected incident, which may shift."""

_LASTS = dt.timedelta(days=91)
"""How long an expected incident is silenced before a person has to confirm that it still is."""

_LONGEST_WINDOW = dt.timedelta(days=1)


def act(connection: Connection, given: Decided) -> None:
    """Record a verdict on an incident; silence the hours of an expected one each week, and end it if it is not."""
    row = connection.execute(
        "select series, started_minute, detected_minute, ended_minute, acknowledged_at from payment_incidents "
        "where incident_id = ?",
        (given.subject_id,),
    ).fetchone()
    connection.execute(
        "insert into payment_verdicts (incident_id, series, verdict, cause, detected_at, ended_at, acknowledged_at, "
        "decided_at, decided_by) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            given.subject_id,
            row["series"] if row else None,
            given.verdict,
            given.reason,
            _minute_text(row["detected_minute"] if row else None),
            _minute_text(row["ended_minute"] if row else None),
            row["acknowledged_at"] if row else None,
            at_text(given.decided_at),
            given.decided_by,
        ),
    )
    end_silences_of(connection, given.subject_id, given.decided_at)
    if given.verdict == EXPECTED and row is not None:
        _silence_weekly(connection, given, row)


def _silence_weekly(connection: Connection, given: Decided, row: Any) -> None:
    started = to_datetime(row["started_minute"]).replace(tzinfo=dt.UTC)
    ended = given.decided_at if row["ended_minute"] is None else to_datetime(row["ended_minute"]).replace(tzinfo=dt.UTC)
    window = min(ended - started + 2 * _MARGIN, _LONGEST_WINDOW)
    zone = given.settings.of(PaymentsSettings).payments_time_zone
    weekly = weekly_window(started - _MARGIN, int(window.total_seconds() // 60), zone)
    silence = Silence(
        row["series"],
        given.decided_at,
        given.decided_at + _LASTS,
        given.decided_by,
        given.reason[:300],
        weekly=weekly,
        time_zone=zone,
    )
    add_silence(connection, silence, given.subject_id)


def _minute_text(minute: int | None) -> str | None:
    return None if minute is None else at_text(to_datetime(minute).replace(tzinfo=dt.UTC))
