"""The history of report runs."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from quintet.state.recorded import RecordedTable
from quintet.state.retention import Retention
from quintet.state.store import StateStore

MIGRATIONS = (
    """
    create table if not exists report_runs (
        run_id integer primary key,
        report text not null,
        written_at text not null,
        written_by text not null,
        parameters text not null,
        format text not null,
        rows integer not null,
        total_written_premium text not null,
        snapshot text not null
    ) strict;
    """,
    "alter table report_runs add column key_id text",
)
"""The migrations of the state store."""

RECORDED = (
    RecordedTable(
        "report_runs",
        "ops",
        "Every report run of the service: time, user, parameters and result.",
        {
            "run_id": "bigint",
            "report": "varchar",
            "written_at": "timestamp",
            "written_by": "varchar",
            "parameters": "varchar",
            "format": "varchar",
            "rows": "bigint",
            "total_written_premium": "decimal(38, 4)",
            "snapshot": "varchar",
        },
    ),
)

RETENTION = (
    Retention(
        "report_runs",
        "Runs have ingested them by then; the last one shows a run where it stopped.",
        "written_at",
        "run_id < (select max(run_id) from report_runs)",
    ),
)
"""How long the rows of these tables stay."""


@dataclass(frozen=True)
class ReportRun:
    """A report run: time (UTC), name and id of the key, parameters, snapshot and result."""

    report: str
    written_at: dt.datetime
    written_by: str
    parameters: Mapping[str, Any]
    format: str
    rows: int
    total_written_premium: Decimal
    snapshot: str
    key_id: str
    run_id: int | None = None


def record_report_run(store: StateStore, run: ReportRun) -> None:
    """Record a run in the history."""
    with store.write() as connection:
        connection.execute(
            "insert into report_runs "
            "(report, written_at, written_by, parameters, format, rows, total_written_premium, snapshot, key_id) "
            "values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                run.report,
                run.written_at.isoformat(),
                run.written_by,
                json.dumps(run.parameters, sort_keys=True),
                run.format,
                run.rows,
                str(run.total_written_premium),
                run.snapshot,
                run.key_id,
            ),
        )


def last_report_runs(store: StateStore, limit: int, key_id: str | None = None) -> list[ReportRun]:
    """Return the last runs, latest first: of all keys, or of one."""
    of_key = "1 = 1" if key_id is None else "key_id = ?"
    rows = (
        store.read()
        .execute(
            f"select * from report_runs where {of_key} order by run_id desc limit ?",
            (limit,) if key_id is None else (key_id, limit),
        )
        .fetchall()
    )
    return [
        ReportRun(
            report=row["report"],
            written_at=dt.datetime.fromisoformat(row["written_at"]),
            written_by=row["written_by"],
            parameters=json.loads(row["parameters"]),
            format=row["format"],
            rows=row["rows"],
            total_written_premium=Decimal(row["total_written_premium"]),
            snapshot=row["snapshot"],
            key_id=row["key_id"] or "",
            run_id=row["run_id"],
        )
        for row in rows
    ]
