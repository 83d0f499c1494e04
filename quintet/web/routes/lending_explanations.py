"""A loan decision explained from the decision log, for a program that reads."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import Path, Request
from pydantic import BaseModel, Field

from quintet.lending.application import LARGEST_ID
from quintet.lending.explanation import reproduction, rules_of
from quintet.lending.scoring import REASONS
from quintet.lending.service import LendingService
from quintet.web.audit import about, audited
from quintet.web.problems import ProblemError
from quintet.web.security import guarded_router
from quintet.web.service import service_of

router = guarded_router("lending:read", prefix="/v1/lending", tags=["lending"])
ROUTERS = (router,)


class ExplainedReason(BaseModel):
    """A reason with the sentence that a person reads."""

    code: str = Field(examples=["OVERDUE_LOAN"])
    sentence: str = Field(examples=["You have a loan that is overdue."])


class ExplainedRule(ExplainedReason):
    """A rule of the policy that decided."""

    applied: bool | None = Field(description="Null where a figure of its condition was not known.", examples=[False])


class Explanation(BaseModel):
    """Why an application was decided as it was."""

    application_id: int = Field(examples=[1])
    decision: str = Field(description="approve, refer or reject.", examples=["refer"])
    decided_at: str = Field(examples=["2026-01-01T10:00:00.002000+00:00"])
    reasons: list[ExplainedReason] = Field(description="What the applicant reads.")
    score: float | None = Field(description="Probability of default, 0 to 1; null without a score.", examples=[0.12])
    score_reasons: list[ExplainedReason] = Field(description="Which figures made the score worse, the strongest first.")
    figures: dict[str, float | None] = Field(
        description="What was known when it was decided.", examples=[{"amount": 500.0, "paid_loans_count": 2.0}]
    )
    rules: list[ExplainedRule] = Field(description="Each rule of the policy, and whether it applied.")
    model_version: str | None = Field(examples=["scorecard-1a2b3c4d5e6f"])
    policy_version: str = Field(examples=["2026-11-1"])
    degraded_reason: str | None = Field(description="Why features or score were missing; null if they were not.")
    reproduced: str = Field(description="Whether the log gives the same decision again; else what differs.")


@router.get("/decisions/{application_id}", response_model=Explanation)
@audited("decisions.read")
def explanation(
    request: Request,
    application_id: Annotated[int, Path(ge=0, le=LARGEST_ID, description="The id of the application.")],
) -> Explanation:
    """Return why an application was decided as it was: reasons, figures, rules, score and versions.

    404 for an application that is not decided.
    """
    about(request, "application", application_id)
    log = service_of(request).of(LendingService).decisions.log
    record = log.of_application(application_id)
    if record is None:
        raise ProblemError(404, f"the log has no decision of application {application_id}")
    rules = rules_of(record, log.artefact(record.policy_sha256))
    return Explanation(
        application_id=application_id,
        decision=record.decision,
        decided_at=record.decided_at,
        reasons=[ExplainedReason(**reason) for reason in json.loads(record.answer)["reasons"]],
        score=record.score,
        score_reasons=[
            ExplainedReason(code=code, sentence=REASONS.get(code, ""))
            for code in json.loads(record.score_reasons or "[]")
        ],
        figures=json.loads(record.figures),
        rules=[ExplainedRule(code=code, sentence=sentence, applied=applied) for code, sentence, applied in rules],
        model_version=record.model_version,
        policy_version=record.policy_version,
        degraded_reason=record.degraded_reason,
        reproduced=reproduction(log, record),
    )
