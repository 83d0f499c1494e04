"""Cases of lending: loan applications that the policy refers to a person."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Literal

import duckdb

from quintet.cases.kind import CaseKind, Option, Sources, Subject
from quintet.lending.decision_log import referred_after
from quintet.lending.policy import PolicyError, read_policy
from quintet.lending.scoring import REASONS
from quintet.lending.served import served_policy
from quintet.lending.verdicts import APPROVE, REJECT, act
from quintet.settings import Settings


def in_build(marts: duckdb.DuckDBPyConnection, sources: Sources) -> Sequence[Subject]:
    """Return the open applications of the loan book that the policy refers."""
    sentences = sentences_of(sources.settings)
    rows = marts.execute(
        "select application_id, client_id, applied_on, amount, score, reasons "
        "from marts.fct_application_decisions where decision = 'refer' order by application_id"
    ).fetchall()
    return [
        _subject(application, client, f"of {applied_on}", amount, score, _in_words(reasons, sentences), "build")
        for application, client, applied_on, amount, score, reasons in rows
    ]


def in_service(sources: Sources) -> tuple[Sequence[Subject], int]:
    """Return the applications that the service referred after a position of the decision log."""
    rows, position = referred_after(sources.settings.state, sources.position)
    sentences = sentences_of(sources.settings) if rows else {}
    found = []
    for row in rows:
        application = json.loads(row["application"])
        why = _in_words(json.loads(row["reasons"]), sentences)
        at = f"decided {row['decided_at'][:16].replace('T', ' ')} UTC"
        amount = float(application["amount"])
        found.append(_subject(row["application_id"], row["client_id"], at, amount, row["score"], why, "service"))
    return found, position


def sentences_of(settings: Settings) -> Mapping[str, str]:
    """Return the sentences of all reason codes: the model's, and those of the policy, if it can be read."""
    try:
        policy = read_policy(served_policy(settings))
    except (PolicyError, OSError):  # the page of decisions says what is wrong with it
        return REASONS
    return {**REASONS, **policy.sentences}


def _in_words(reasons: Sequence[str], sentences: Mapping[str, str]) -> str:
    return " ".join(sentences.get(code, code) for code in reasons) or "The policy refers it."


def _subject(
    application: int,
    client: int,
    when: str,
    amount: float | None,
    score: float | None,
    why: str,
    origin: Literal["build", "service"],
) -> Subject:
    from quintet.presentation.design import format_value  # noqa: PLC0415  # the declaration of a domain loads no charts

    known = amount or 0.0
    return Subject(
        str(application),
        f"Application {application}, {when}, amount {format_value(known, 'money')}",
        why,
        round(known * (1.0 if score is None else score), 2),  # without a score, all of it is at risk
        score,
        person_id=str(client),
        origin=origin,
    )


LOAN = CaseKind(
    domain="lending",
    name="loan",
    what="application",
    options=(
        Option(APPROVE, "Approve", "The final decision; the CRM gets it.", "a", needs_reason=True),
        Option(REJECT, "Reject", "The final decision; the CRM gets it.", "r", needs_reason=True),
    ),
    in_build=in_build,
    in_service=in_service,
    act=act,
    table="loan_verdicts",
    person_kind="client",
    evidence="quintet.web.cases.lending",
    page="/lending/decisions?application={subject_id}#trace",
)
