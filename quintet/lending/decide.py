"""Make one decision: its record for the log and its answer, and reproduce both from the log."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quintet.lending.active import LoadedModel
from quintet.lending.application import Application
from quintet.lending.decision_log import DecisionRecord
from quintet.lending.endpoint import ScoredBy
from quintet.lending.policy import Outcome, Policy, known_names
from quintet.lending.scoring import REASONS, Scored, ScoringModel

_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode

Figures = Mapping[str, float | None]


@dataclass(frozen=True)
class Known:
    """The inputs of a decision.

    figures: features and the application's own figures, by name. features_version, applied_lsn: None without features.
    degraded_reason: why features or score are missing, None if they are there.
    """

    figures: Figures
    features_version: str | None
    applied_lsn: int | None
    scored_by: ScoredBy | None
    degraded_reason: str | None


@dataclass(frozen=True)
class Reproduced:
    """A decision reproduced from the log. differences: what differs from the record, in words."""

    answer: str
    differences: tuple[str, ...]


class NotReproducibleError(ValueError):
    """The log lacks what is needed to reproduce a decision; the message says what."""


def decided(
    application: Application,
    known: Known,
    policy: Policy,
    challenger: LoadedModel | None,
    asked_by: str,
    decided_at: dt.datetime,
    waited_ms: float,
    latency_ms: float,
) -> DecisionRecord:
    """Decide an application and return the record for the log."""
    scored_by = known.scored_by
    scored = scored_by.scored if scored_by else None
    outcome = policy.decide(known.figures, scored)
    at = decided_at.isoformat()
    return DecisionRecord(
        application_id=application.application_id,
        decision_id=application.decision_id,
        client_id=application.client_id,
        identity=application.identity,
        application=_ENCODE(application.as_json()),
        asked_by=asked_by,
        decided_at=at,
        decision=outcome.decision,
        reasons=_ENCODE(outcome.reasons),
        score=scored.default_probability if scored else None,
        points=scored.points if scored else None,
        model_version=scored_by.version if scored_by else None,
        model_sha256=scored_by.sha256 if scored_by else None,
        policy_version=policy.version,
        policy_sha256=policy.sha256,
        figures=_ENCODE(known.figures),
        features_version=known.features_version,
        applied_lsn=known.applied_lsn,
        score_reasons=_ENCODE(scored.reasons) if scored else None,
        degraded_reason=known.degraded_reason,
        challenger=_ENCODE(in_shadow(challenger.model, known.figures, policy)) if challenger else None,
        waited_ms=waited_ms,
        latency_ms=latency_ms,
        answer=_answer(application.as_json(), application.decision_id, outcome, scored_by, policy, known, at),
    )


def in_shadow(model: ScoringModel, figures: Figures, policy: Policy) -> dict[str, Any]:
    """Return what a challenger would have decided, for the log only."""
    try:
        scored = model.score(figures)
    except ValueError as error:
        return {"version": model.version, "error": str(error)}
    outcome = policy.decide(figures, scored)
    return {
        "version": model.version,
        "score": scored.default_probability,
        "points": scored.points,
        "decision": outcome.decision,
        "reasons": outcome.reasons,
    }


def reproduce(record: DecisionRecord, policy_text: str | None, model_text: str | None) -> Reproduced:
    """Reproduce a decision from its record and the texts of the policy and the model that made it.

    A score of an external endpoint is read from the record. Raises NotReproducibleError if a text is missing.
    """
    if policy_text is None:
        raise NotReproducibleError(f"the log lacks the text of policy {record.policy_version}")
    if record.model_sha256 is not None and model_text is None:
        raise NotReproducibleError(f"the log lacks the text of model {record.model_version}")
    figures = json.loads(record.figures)
    policy = Policy.from_text(policy_text, known_names() | figures.keys())  # a feature may no longer exist
    scored_by = None
    if record.model_version is not None and record.score is not None and record.points is not None:
        scored = Scored(record.score, record.points, tuple(json.loads(record.score_reasons or "[]")))
        if model_text is not None:
            scored = ScoringModel.from_json(model_text).score(figures)
        scored_by = ScoredBy(scored, record.model_version, record.model_sha256)
    outcome = policy.decide(figures, scored_by.scored if scored_by else None)
    known = Known(figures, record.features_version, record.applied_lsn, scored_by, record.degraded_reason)
    application = json.loads(record.application)
    says_why = "degraded_reason" in json.loads(record.answer)  # records of earlier versions do not
    answer = _answer(application, record.decision_id, outcome, scored_by, policy, known, record.decided_at, says_why)
    pairs = {
        "score": (scored_by.scored.default_probability if scored_by else None, record.score),
        "decision": (outcome.decision, record.decision),
        "reasons": (_ENCODE(outcome.reasons), record.reasons),
        "answer": (answer, record.answer),
    }
    return Reproduced(
        answer, tuple(f"{name}: {now} now, {then} then" for name, (now, then) in pairs.items() if now != then)
    )


def sentence_of(code: str, policy: Policy) -> str:
    """Return the sentence for the client of a reason code."""
    return policy.sentences.get(code) or REASONS[code]


def _answer(
    application: Mapping[str, Any],
    decision_id: str,
    outcome: Outcome,
    scored_by: ScoredBy | None,
    policy: Policy,
    known: Known,
    decided_at: str,
    says_why: bool = True,
) -> str:
    answer = {
        "decision_id": decision_id,
        "application_id": application["application_id"],
        "client_id": application["client_id"],
        "decision": outcome.decision,
        "reasons": [{"code": code, "sentence": sentence_of(code, policy)} for code in outcome.reasons],
        "score": scored_by.scored.default_probability if scored_by else None,
        "points": scored_by.scored.points if scored_by else None,
        "model_version": scored_by.version if scored_by else None,
        "policy_version": policy.version,
        "as_of": application["applied_on"],
        "applied_lsn": known.applied_lsn,
        "decided_at": decided_at,
    }
    return _ENCODE(answer | {"degraded_reason": known.degraded_reason} if says_why else answer)
