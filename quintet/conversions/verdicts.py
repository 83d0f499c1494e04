"""Verdicts on pairs of a conversion and a broker row in the state store: certain links and certain non-links."""

from __future__ import annotations

from quintet.cases.kind import Decided
from quintet.state.outbox import at_text
from quintet.state.recorded import RecordedTable
from quintet.state.retention import Retention
from quintet.state.store import Connection

LINK, NO_LINK = "link", "no_link"

LARGEST_SAMPLE_SHARE = 0.999
"""The share of a sample of all matches: `agg_match_verdicts` takes pairs with a share of 1 for those in review."""

_AGAIN = " again"

MIGRATIONS = (
    """
    create table if not exists pair_verdicts (
        verdict_id integer primary key,
        conversion_id integer not null,
        broker_row_id text not null,
        is_link integer not null,
        share real not null,
        decided_at text not null,
        decided_by text not null
    ) strict;
    """,
)
"""The script that creates the table in the state store."""

RETENTION = (Retention("pair_verdicts", "Each matching keeps them."),)
"""How long the rows of this table stay."""

RECORDED = (
    RecordedTable(
        "pair_verdicts",
        "conversions",
        "Every verdict of a person on a conversion and a broker row; the last one of a pair applies.",
        {
            "verdict_id": "bigint",
            "conversion_id": "bigint",
            "broker_row_id": "varchar",
            "is_link": "boolean",
            "share": "double",
            "decided_at": "timestamp",
            "decided_by": "varchar",
        },
    ),
)


def subject_of(conversion_id: int, broker_row_id: str) -> str:
    """Return the subject of the case about a pair."""
    return f"{conversion_id} {broker_row_id}"


def second_look_of(subject_id: str) -> str:
    """Return the subject of the second case about a pair, for another person than the first."""
    return f"{subject_id}{_AGAIN}"


def pair_of(subject_id: str) -> tuple[int, str]:
    """Return the conversion and the broker row of a subject."""
    conversion_id, _, broker_row_id = subject_id.removesuffix(_AGAIN).partition(" ")
    return int(conversion_id), broker_row_id


def act(connection: Connection, given: Decided) -> None:
    """Record a verdict on a pair, for the next matching to keep."""
    conversion_id, broker_row_id = pair_of(given.subject_id)
    connection.execute(
        "insert into pair_verdicts (conversion_id, broker_row_id, is_link, share, decided_at, decided_by) "
        "values (?, ?, ?, ?, ?, ?)",
        (
            conversion_id,
            broker_row_id,
            int(given.verdict == LINK),
            given.share,
            at_text(given.decided_at),
            given.decided_by,
        ),
    )
