"""Final decisions of people on loan applications in the state store, and their messages to the CRM."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from quintet.cases.kind import Decided
from quintet.lending.settings import LendingSettings
from quintet.state.outbox import at_text, enqueue
from quintet.state.recorded import RecordedTable
from quintet.state.retention import Retention
from quintet.state.store import Connection, StateStore

APPROVE, REJECT = "approve", "reject"

CRM = "crm"
"""The channel of the outbox to the CRM."""

MIGRATIONS = (
    """
    create table if not exists loan_verdicts (
        verdict_id integer primary key,
        application_id integer not null,
        case_id text not null,
        decision text not null,
        reason text not null,
        decided_at text not null,
        decided_by text not null
    ) strict;
    """,
)
"""The script that creates the table in the state store."""

RETENTION = (Retention("loan_verdicts", "A final decision is looked up as long as the loan is of interest."),)
"""How long the rows of this table stay."""

RECORDED = RecordedTable(
    "loan_verdicts",
    "lending",
    "Every final decision of a person on a loan application; the last one of an application applies.",
    {
        "verdict_id": "bigint",
        "application_id": "bigint",
        "case_id": "varchar",
        "decision": "varchar",
        "reason": "varchar",
        "decided_at": "timestamp",
        "decided_by": "varchar",
    },
)


@dataclass(frozen=True)
class FinalDecision:
    """The decision of a person on an application. decided_at: UTC."""

    decision: str
    reason: str
    decided_at: dt.datetime
    decided_by: str


def final_decision(store: StateStore, application_id: int) -> FinalDecision | None:
    """Return the last decision of a person on an application; None without one."""
    row = (
        store.read()
        .execute(
            "select decision, reason, decided_at, decided_by from loan_verdicts where application_id = ? "
            "order by verdict_id desc limit 1",
            (application_id,),
        )
        .fetchone()
    )
    if row is None:
        return None
    decided_at = dt.datetime.fromisoformat(row["decided_at"])
    return FinalDecision(row["decision"], row["reason"], decided_at, row["decided_by"])


def act(connection: Connection, given: Decided) -> None:
    """Record a final decision and write the message to the CRM, where the settings have one."""
    connection.execute(
        "insert into loan_verdicts (application_id, case_id, decision, reason, decided_at, decided_by) "
        "values (?, ?, ?, ?, ?, ?)",
        (
            int(given.subject_id),
            given.case_id,
            given.verdict,
            given.reason,
            at_text(given.decided_at),
            given.decided_by,
        ),
    )
    if given.settings.of(LendingSettings).crm_webhook_url is not None:
        body = {
            "application_id": int(given.subject_id),
            "decision": given.verdict,
            "decision_before": given.before,
            "reason": given.reason,
            "decided_by": given.decided_by,
            "decided_at": given.decided_at.isoformat(timespec="seconds"),
            "case_id": given.case_id,
        }
        enqueue(connection, f"loan-{given.case_id}-{given.version}", [CRM], body, given.decided_at)
