"""The tables of cases in the state store, and the events that a run ingests."""

from quintet.state.recorded import RecordedTable
from quintet.state.retention import Retention

OWNER = "cases"

MIGRATIONS = (
    """
    create table if not exists cases (
        case_id text primary key,
        domain text not null,
        kind text not null,
        subject_id text not null,
        group_id text,
        person_kind text not null,
        person_id text,
        title text not null,
        why text not null,
        score real,
        priority real not null,
        origin text not null,
        share real not null,
        opened_at text not null,
        state text not null check (state in ('open', 'assigned', 'snoozed', 'decided')),
        owner text,
        snoozed_until text,
        verdict text,
        reason text,
        version integer not null,
        changed_at text not null,
        changed_by text not null,
        unique (domain, kind, subject_id)
    ) strict;
    create index if not exists cases_by_priority on cases (state, priority, case_id);
    create index if not exists cases_by_group on cases (domain, kind, group_id);
    create table if not exists case_events (
        event_id integer primary key,
        case_id text not null,
        version integer not null,
        domain text not null,
        kind text not null,
        subject_id text not null,
        group_id text,
        person_kind text not null,
        person_id text,
        title text not null,
        score real,
        priority real not null,
        origin text not null,
        share real not null,
        opened_at text not null,
        state text not null,
        owner text,
        snoozed_until text,
        verdict text,
        reason text,
        changed_at text not null,
        changed_by text not null,
        action text not null,
        note text,
        request_key text,
        unique (case_id, request_key)
    ) strict;
    create index if not exists case_events_by_case on case_events (case_id, event_id);
    create table if not exists case_positions (
        domain text not null,
        kind text not null,
        position integer not null,
        primary key (domain, kind)
    ) strict;
    """,
)
"""The scripts that create the tables below in the state store."""

RETENTION = (
    Retention("cases", "Their verdicts are what models and figures of quality come from."),
    Retention("case_events", "They are the history of the cases, and a run ingests each once."),
    Retention("case_positions", "One row for each kind of case."),
)
"""How long the rows of these tables stay."""

RECORDED = RecordedTable(
    "case_events",
    "ops",
    "Every change of a case, with its state after the change; append-only.",
    {
        "event_id": "bigint",
        "case_id": "varchar",
        "version": "bigint",
        "domain": "varchar",
        "kind": "varchar",
        "subject_id": "varchar",
        "group_id": "varchar",
        "person_kind": "varchar",
        "person_id": "varchar",
        "title": "varchar",
        "score": "double",
        "priority": "double",
        "origin": "varchar",
        "share": "double",
        "opened_at": "timestamp",
        "state": "varchar",
        "owner": "varchar",
        "snoozed_until": "timestamp",
        "verdict": "varchar",
        "reason": "varchar",
        "changed_at": "timestamp",
        "changed_by": "varchar",
        "action": "varchar",
        "note": "varchar",
    },
    optional=frozenset(
        {"group_id", "person_id", "score", "owner", "snoozed_until", "verdict", "reason", "note"},
    ),
)
