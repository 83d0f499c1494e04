"""Cases of insurance: scheduled reports that could not be sent."""

from __future__ import annotations

from collections.abc import Sequence

from quintet.cases.kind import CaseKind, Decided, Option, Sources, Subject
from quintet.insurance.report_schedules import CHANNEL, end_in, find_schedule
from quintet.state.outbox import GIVEN_UP, SENT, at_text
from quintet.state.store import Connection

AGAIN, END = "again", "end"

_ATTEMPTS = 3
"""Attempts after which a person looks at it; the outbox goes on trying for a day."""


def in_service(sources: Sources) -> tuple[Sequence[Subject], int]:
    """Return the scheduled reports that failed several times; one that was sent at last is over."""
    rows = sources.store.read().execute(
        "select key, state, attempts, error from outbox where channel = ? and attempts >= ? order by message_id",
        (CHANNEL, _ATTEMPTS),
    )
    found = []
    for row in rows.fetchall():
        schedule = find_schedule(sources.store, schedule_of(row["key"]))
        if schedule is None:  # erased
            continue
        given_up = " It is tried no more." if row["state"] == GIVEN_UP else ""
        error = row["error"] or "the service stopped"
        found.append(
            Subject(
                row["key"],
                f"Report {schedule.request.report} of {schedule.created_by}, {schedule.request.timing}",
                f"It could not be sent in {row['attempts']} attempts: {error}.{given_up}",
                0.0,
                origin="service",
                is_over=row["state"] == SENT,
            )
        )
    return found, 0


def schedule_of(message_key: str) -> int:
    """Return the id of the schedule that a message is of."""
    return int(message_key.split()[1])


def act(connection: Connection, decided: Decided) -> None:
    """Send the report again as another message, or end its schedule."""
    if decided.verdict == END:
        end_in(connection, schedule_of(decided.subject_id), decided.decided_at, f"ended by {decided.decided_by}")
        return
    now = at_text(decided.decided_at)
    connection.execute(
        "update outbox set key = key || '+', state = 'waiting', attempts = 0, created_at = ?, next_attempt_at = ? "
        "where key = ? and channel = ? and state <> ?",
        (now, now, decided.subject_id, CHANNEL, SENT),
    )


REPORT = CaseKind(
    domain="insurance",
    name="report",
    what="scheduled report",
    options=(
        Option(AGAIN, "Send again", "The report is sent again now, with the data of now.", "a"),
        Option(END, "End it", "This person gets the report no more.", "r"),
    ),
    in_service=in_service,
    act=act,
    page="/reports",
)
