"""The log of loan decisions: one for each application, with all of its inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, fields
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import pandas as pd

from quintet.state.dialect import Script
from quintet.state.frames import frame_of
from quintet.state.recorded import RecordedTable
from quintet.state.retention import Retention
from quintet.state.store import Connection, StateStore
from quintet.state.writer import MOST_FRAMES, Writer
from quintet.state_place import Place, place_of

FILE, OWNER = "decisions.sqlite", "decisions"

_SCHEMA = """
create table if not exists decisions (
    decision_number integer primary key,
    application_id integer not null unique,
    decision_id text not null,
    client_id integer not null,
    identity text not null,
    application text not null,
    asked_by text not null,
    decided_at text not null,
    decision text not null,
    reasons text not null,
    score real,
    points integer,
    model_version text,
    model_sha256 text,
    policy_version text not null,
    policy_sha256 text not null,
    figures text not null,
    features_version text,
    applied_lsn integer,
    score_reasons text,
    shortfall text,
    challenger text,
    waited_ms real not null,
    latency_ms real not null,
    answer text not null
) strict;
create table if not exists artefacts (
    artefact_number integer primary key,
    sha256 text not null unique,
    kind text not null check (kind in ('model', 'policy')),
    version text not null,
    first_used_at text not null,
    text text not null
) strict;
create table if not exists room (filling blob not null) strict;
"""
MIGRATIONS = (
    _SCHEMA,
    Script("alter table decisions rename column shortfall to degraded_reason", is_breaking=True),
    "create index if not exists decisions_referred on decisions (decision_number) where decision = 'refer'",
)
"""The scripts that create the tables below."""

RETENTION = (
    Retention("decisions", "A decision can be reproduced as long as the loan is of interest."),
    Retention("artefacts", "Decisions are reproduced with these models and policies."),
    Retention("room", "It is emptied at once."),
)
"""How long the rows of these tables stay."""

RECORDED = (
    RecordedTable(
        "loan_decisions",
        "lending",
        "Every loan decision of the service with its inputs, from the decision log.",
        {
            "decision_number": "bigint",
            "application_id": "bigint",
            "decision_id": "varchar",
            "client_id": "bigint",
            "application": "varchar",
            "asked_by": "varchar",
            "decided_at": "timestamp",
            "decision": "varchar",
            "reasons": "varchar[]",
            "score": "double",
            "points": "bigint",
            "model_version": "varchar",
            "policy_version": "varchar",
            "figures": "varchar",
            "applied_lsn": "bigint",
            "degraded_reason": "varchar",
            "challenger": "varchar",
            "waited_ms": "double",
            "latency_ms": "double",
        },
        optional=frozenset({"score", "points", "model_version", "applied_lsn", "degraded_reason", "challenger"}),
        file=FILE,
        source="decisions",
        former_names={"degraded_reason": "shortfall"},
    ),
)

_REFERRED_AT_ONCE = 1_000
_ROOM_BYTES = 4_096 * MOST_FRAMES


@dataclass(frozen=True)
class DecisionRecord:
    """A decision with all of its inputs. Times are ISO 8601, UTC.

    identity: digest of what was applied for. application, figures, challenger, reasons, score_reasons: JSON.
    degraded_reason: why features or score were missing. waited_ms: time spent on the features. latency_ms: from the
    arrival of the request until the decision was sent to the disk. answer: the text of the answer.
    """

    application_id: int
    decision_id: str
    client_id: int
    identity: str
    application: str
    asked_by: str
    decided_at: str
    decision: str
    reasons: str
    score: float | None
    points: int | None
    model_version: str | None
    model_sha256: str | None
    policy_version: str
    policy_sha256: str
    figures: str
    features_version: str | None
    applied_lsn: int | None
    score_reasons: str | None
    degraded_reason: str | None
    challenger: str | None
    waited_ms: float
    latency_ms: float
    answer: str


_COLUMNS = ", ".join(field.name for field in fields(DecisionRecord))
_VALUES = attrgetter(*(field.name for field in fields(DecisionRecord)))
_INSERT = (
    f"insert into decisions ({_COLUMNS}) values ({', '.join('?' * len(fields(DecisionRecord)))}) "
    "on conflict (application_id) do nothing"
)


class DecisionLog:
    """The decision log at `place`, created on first use; a folder stands for the SQLite file in it."""

    def __init__(self, place: Place) -> None:
        self._store = StateStore(place, FILE, {OWNER: MIGRATIONS})
        self._writer = Writer(self._store)

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return self._store.path

    def start(self) -> None:
        """Start the writer."""
        if self._store.is_file:
            self._make_room()
        self._writer.start()

    def close(self) -> None:
        """Write pending decisions, and close the file."""
        self._writer.close()
        self._store.close()

    def record(self, record: DecisionRecord) -> Future[DecisionRecord]:
        """Write a decision; return the application's record in the log, which may be an earlier one."""
        return self._writer.run(partial(_keep, record=record))

    def of_application(self, application_id: int) -> DecisionRecord | None:
        """Return the decision of an application, None if there is none."""
        return _find(self._store.read(), application_id)

    def since(self, moment: str, limit: int) -> pd.DataFrame:
        """Return the last `limit` decisions since a moment (ISO, UTC), the oldest first.

        Omits the texts that are only needed to reproduce a decision.
        """
        return frame_of(
            self._store,
            "select * from (select decision_number, application_id, decision_id, client_id, decided_at, decision, "
            "reasons, score, points, model_version, policy_version, figures, degraded_reason, challenger, waited_ms, "
            "latency_ms from decisions order by decision_number desc limit ?) as latest where decided_at >= ? "
            "order by decision_number",
            (limit, moment),
        )

    def after(self, number: int) -> pd.DataFrame:
        """Return all decisions after the one with this number, with every column."""
        return frame_of(
            self._store, "select * from decisions where decision_number > ? order by decision_number", (number,)
        )

    def applications(self) -> Iterator[int]:
        """Yield the application of every decision."""
        for row in self._store.stream("select application_id from decisions"):
            yield row["application_id"]

    def keep_artefact(self, kind: str, sha256: str, version: str, text: str, now: str) -> None:
        """Store the text of a model or a policy before it is used; a text that is already there changes nothing."""
        with self._store.write() as connection:
            connection.execute(
                "insert into artefacts (sha256, kind, version, first_used_at, text) values (?, ?, ?, ?, ?) "
                "on conflict (sha256) do nothing",
                (sha256, kind, version, now, text),
            )

    def artefact(self, sha256: str) -> str | None:
        """Return the text with this hash; None if it is not stored, or is no longer the text with this hash."""
        row = self._store.read().execute("select text from artefacts where sha256 = ?", (sha256,)).fetchone()
        text = None if row is None else str(row["text"])
        return text if text is not None and hashlib.sha256(text.encode()).hexdigest() == sha256 else None

    def policy_of_version(self, version: str) -> str | None:
        """Return the hash of the first policy that was used under this version; None if none was."""
        found = "select sha256 from artefacts where kind = 'policy' and version = ? order by artefact_number limit 1"
        row = self._store.read().execute(found, (version,)).fetchone()
        return None if row is None else str(row["sha256"])

    def last_policy(self) -> str | None:
        """Return the policy of the latest decision, or the latest policy stored if there are no decisions."""
        row = (
            self._store.read()
            .execute(
                "select text from artefacts where kind = 'policy' order by sha256 = (select policy_sha256 from "
                "decisions order by decision_number desc limit 1) desc, artefact_number desc limit 1"
            )
            .fetchone()
        )
        return None if row is None else str(row["text"])

    def _make_room(self) -> None:
        """Grow SQLite's log to its full length first: a write into a file that need not grow takes half the time."""
        with self._store.write() as connection:
            connection.execute("insert into room values (zeroblob(?))", (_ROOM_BYTES,))
        with self._store.write() as connection:
            connection.execute("delete from room")
        self._store.read().execute("pragma wal_checkpoint(restart)").fetchone()


def referred_after(place: Place, number: int) -> tuple[list[Any], int]:
    """Return the referred applications after a decision of the log at `place`, some at a time, and the last number.

    Columns application_id, client_id, decided_at, reasons, score, application. Without a log there are none.
    """
    where = place_of(place)
    if where.url is None and not (where.folder / FILE).exists():
        return [], number
    with closing(StateStore(where, FILE, {OWNER: MIGRATIONS})) as store:
        rows = (
            store.read()
            .execute(
                "select decision_number, application_id, client_id, decided_at, reasons, score, application "
                "from decisions where decision = 'refer' and decision_number > ? order by decision_number limit ?",
                (number, _REFERRED_AT_ONCE),
            )
            .fetchall()
        )
    return rows, int(rows[-1]["decision_number"]) if rows else number


def _keep(connection: Connection, record: DecisionRecord) -> DecisionRecord:
    is_new = connection.execute(_INSERT, _VALUES(record)).rowcount == 1
    return record if is_new else _find(connection, record.application_id) or record


def _find(connection: Connection, application_id: int) -> DecisionRecord | None:
    row = connection.execute(f"select {_COLUMNS} from decisions where application_id = ?", (application_id,)).fetchone()
    return None if row is None else DecisionRecord(*row)
