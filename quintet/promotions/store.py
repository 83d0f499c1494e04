"""Promo-code abuse in the state store: each judgement of a sign-up, and each label from a person."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from quintet.state.recorded import RecordedTable
from quintet.state.retention import Retention
from quintet.state.store import Connection, StateStore

REPEATED = dt.timedelta(minutes=15)
"""How long the same request gets the judgement that it got first; clocks of services may be apart by less."""

MIGRATIONS = (
    """
    create table if not exists abuse_judgements (
        judgement_id integer primary key,
        user_id text not null,
        judged_at text not null,
        judged_by text not null,
        sign_up text not null,
        usages text not null,
        score real not null,
        decision text not null,
        reasons text not null,
        cluster_id text,
        cluster_size integer not null,
        model_version text not null
    ) strict;
    create index if not exists abuse_judgements_by_user on abuse_judgements (user_id);
    create table if not exists abuse_labels (
        label_id integer primary key,
        user_id text not null,
        is_abuser integer not null,
        labelled_at text not null,
        labelled_by text not null,
        note text
    ) strict;
    create index if not exists abuse_labels_by_user on abuse_labels (user_id);
    """,
    """
    create table if not exists abuse_rule_verdicts (
        verdict_id integer primary key,
        user_id text not null,
        judged_at text not null,
        version text not null,
        decision text not null,
        shadow_decision text not null,
        codes text not null
    ) strict;
    create index if not exists abuse_rule_verdicts_by_version on abuse_rule_verdicts (version, judged_at);
    """,
    """
    alter table abuse_judgements add column request_sha256 text;
    create index if not exists abuse_judgements_by_request on abuse_judgements (request_sha256);
    """,
)
"""The scripts that create the tables below in the state store."""

RETENTION = (
    Retention("abuse_judgements", "The index adds these sign-ups to the accounts of the snapshot."),
    Retention("abuse_labels", "Models are trained on them."),
    Retention("abuse_rule_verdicts", "Rules in shadow are compared for days before they decide.", "judged_at"),
)
"""How long the rows of these tables stay."""

RECORDED = (
    RecordedTable(
        "abuse_judgements",
        "ops",
        "Every sign-up that the service scored, with the request and the answer.",
        {
            "judgement_id": "bigint",
            "user_id": "varchar",
            "judged_at": "timestamp",
            "judged_by": "varchar",
            "sign_up": "varchar",
            "usages": "varchar",
            "score": "double",
            "decision": "varchar",
            "reasons": "varchar[]",
            "cluster_id": "varchar",
            "cluster_size": "bigint",
            "model_version": "varchar",
        },
        optional=frozenset({"cluster_id"}),
    ),
    RecordedTable(
        "abuse_labels",
        "ops",
        "Every user whom a person confirmed as an abuser or cleared; the next training uses it.",
        {
            "label_id": "bigint",
            "user_id": "varchar",
            "is_abuser": "boolean",
            "labelled_at": "timestamp",
            "labelled_by": "varchar",
            "note": "varchar",
        },
        optional=frozenset({"note"}),
    ),
)


@dataclass(frozen=True)
class JudgementRecord:
    """A sign-up as received, with its uses of codes, and the answer. judged_at is UTC.

    request_sha256: digest of what was sent.
    """

    user_id: str
    judged_at: dt.datetime
    judged_by: str
    sign_up: Mapping[str, Any]
    usages: Sequence[Mapping[str, Any]]
    score: float
    decision: str
    reasons: Sequence[str]
    cluster_id: str | None
    cluster_size: int
    model_version: str
    request_sha256: str


@dataclass(frozen=True)
class Label:
    """A person's verdict on whether a user is an abuser; the last one of a user is used. labelled_at is UTC."""

    user_id: str
    is_abuser: bool
    labelled_at: dt.datetime
    labelled_by: str
    note: str | None = None


def insert_judgement(connection: Connection, record: JudgementRecord) -> JudgementRecord:
    """Add a judgement in the caller's transaction, and return it, or that of the same request a moment ago.

    Whoever repeats a request, at this service or another, gets the first judgement; after `REPEATED` a new one.
    """
    since = (record.judged_at - REPEATED).isoformat()
    is_new = connection.execute(
        "insert into abuse_judgements (user_id, judged_at, judged_by, sign_up, usages, score, decision, reasons, "
        "cluster_id, cluster_size, model_version, request_sha256) select ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? "
        "where not exists (select 1 from abuse_judgements where request_sha256 = ? and judged_at >= ?)",
        (
            record.user_id,
            record.judged_at.isoformat(),
            record.judged_by,
            _json(record.sign_up),
            _json(record.usages),
            record.score,
            record.decision,
            _json(record.reasons),
            record.cluster_id,
            record.cluster_size,
            record.model_version,
            record.request_sha256,
            record.request_sha256,
            since,
        ),
    ).rowcount
    if is_new:
        return record
    row = connection.execute(
        "select * from abuse_judgements where request_sha256 = ? order by judgement_id desc limit 1",
        (record.request_sha256,),
    ).fetchone()
    return replace(
        record,
        score=row["score"],
        decision=row["decision"],
        reasons=orjson.loads(row["reasons"]),
        cluster_id=row["cluster_id"],
        cluster_size=row["cluster_size"],
        model_version=row["model_version"],
        judged_at=dt.datetime.fromisoformat(row["judged_at"]),
        judged_by=row["judged_by"],
    )


@dataclass(frozen=True)
class VerdictRecord:
    """What the rules in shadow would have decided about a sign-up, beside the decision. judged_at is UTC."""

    user_id: str
    judged_at: dt.datetime
    version: str
    decision: str
    shadow_decision: str
    codes: Sequence[str]


def insert_verdict(connection: Connection, record: VerdictRecord) -> None:
    """Add a verdict of rules in shadow in the caller's transaction."""
    connection.execute(
        "insert into abuse_rule_verdicts (user_id, judged_at, version, decision, shadow_decision, codes) "
        "values (?, ?, ?, ?, ?, ?)",
        (
            record.user_id,
            record.judged_at.isoformat(),
            record.version,
            record.decision,
            record.shadow_decision,
            _json(record.codes),
        ),
    )


@dataclass(frozen=True)
class ShadowSummary:
    """The verdicts of a version in shadow. judged: sign-ups scored since it began; moves: by decision and its own."""

    judged: int
    moves: Mapping[tuple[str, str], int]
    last: Sequence[VerdictRecord]


def shadow_summary(store: StateStore, version: str, since: dt.datetime, limit: int) -> ShadowSummary:
    """Return how often a version in shadow would have decided otherwise since then, and the last such verdicts."""
    connection, at = store.read(), since.astimezone(dt.UTC).isoformat()
    ((judged,),) = connection.execute("select count(*) from abuse_judgements where judged_at >= ?", (at,)).fetchall()
    moves = connection.execute(
        "select decision, shadow_decision, count(*) as verdicts from abuse_rule_verdicts "
        "where version = ? and judged_at >= ? group by decision, shadow_decision order by verdicts desc",
        (version, at),
    ).fetchall()
    last = connection.execute(
        "select * from abuse_rule_verdicts where version = ? and judged_at >= ? and decision <> shadow_decision "
        "order by verdict_id desc limit ?",
        (version, at, limit),
    ).fetchall()
    return ShadowSummary(
        judged,
        {(row["decision"], row["shadow_decision"]): row["verdicts"] for row in moves},
        [
            VerdictRecord(
                row["user_id"],
                dt.datetime.fromisoformat(row["judged_at"]),
                row["version"],
                row["decision"],
                row["shadow_decision"],
                orjson.loads(row["codes"]),
            )
            for row in last
        ],
    )


def sign_ups_after(store: StateStore, judgement_id: int) -> list[tuple[int, dict[str, Any], list[dict[str, Any]]]]:
    """Return the sign-ups of all later judgements in order: id, sign-up, usages."""
    rows = store.read().execute(
        "select judgement_id, sign_up, usages from abuse_judgements where judgement_id > ? order by judgement_id",
        (judgement_id,),
    )
    return [(row["judgement_id"], orjson.loads(row["sign_up"]), orjson.loads(row["usages"])) for row in rows]


def was_judged(store: StateStore, user_id: str) -> bool:
    """Return whether the service has scored a sign-up of this user."""
    return store.read().execute("select 1 from abuse_judgements where user_id = ?", (user_id,)).fetchone() is not None


def record_label(store: StateStore, label: Label) -> int:
    """Add a label; return its number."""
    with store.write() as connection:
        return insert_label(connection, label)


def insert_label(connection: Connection, label: Label) -> int:
    """Add a label in the caller's transaction; return its number."""
    ((number,),) = connection.execute(
        "insert into abuse_labels (user_id, is_abuser, labelled_at, labelled_by, note) values (?, ?, ?, ?, ?) "
        "returning label_id",
        (label.user_id, int(label.is_abuser), label.labelled_at.isoformat(), label.labelled_by, label.note),
    ).fetchall()
    return int(number)


def label_of(store: StateStore, user_id: str) -> Label | None:
    """Return the current label of a user; None without one."""
    row = (
        store.read()
        .execute("select * from abuse_labels where user_id = ? order by label_id desc limit 1", (user_id,))
        .fetchone()
    )
    return None if row is None else _label(row)


def last_labels(store: StateStore, limit: int) -> list[Label]:
    """Return the last labels, the latest first."""
    rows = store.read().execute("select * from abuse_labels order by label_id desc limit ?", (limit,))
    return [_label(row) for row in rows]


def all_labels(store: StateStore) -> Iterator[Label]:
    """Yield every label, the oldest first."""
    for row in store.read().execute("select * from abuse_labels order by label_id"):
        yield _label(row)


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _label(row: Any) -> Label:
    return Label(
        row["user_id"],
        bool(row["is_abuser"]),
        dt.datetime.fromisoformat(row["labelled_at"]),
        row["labelled_by"],
        row["note"],
    )
