"""Lending over HTTP: decisions on applications, the scoring model, and a client's features."""

from __future__ import annotations

import datetime as dt
import time
from typing import Annotated, Literal

from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from quintet.lending.application import (
    LARGEST_AMOUNT,
    LARGEST_ID,
    LONGEST_DURATION_DAYS,
    LSN_PATTERN,
    Application,
    lsn_of,
)
from quintet.lending.decisions import ConflictError, NoPolicyError, RefusedError
from quintet.lending.endpoint import InProcess, NoScoreError
from quintet.lending.service import LendingService
from quintet.replicated import EPOCH
from quintet.web.audit import about, audited, not_audited
from quintet.web.direct import DirectRoute
from quintet.web.problems import Fault, Problem, ProblemError
from quintet.web.security import guarded_router
from quintet.web.service import service_of
from quintet.web.times import BusinessDay, SubmittedAt, refuse_future

router = guarded_router("lending:read", prefix="/v1/lending", tags=["lending"])
deciding = guarded_router("lending:decide", route_class=DirectRoute, prefix="/v1/lending", tags=["lending"])
FIRST_ROUTERS, ROUTERS = (deciding,), (router,)

_JSON = "application/json"
_MOST_FIGURES = 100
_LONGEST_NAME = 100
_LARGEST_FIGURE = 1e12
_SMALLEST_AMOUNT = 0.01


class ApplicationGiven(BaseModel):
    """An application as the CRM committed it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    application_id: int = Field(ge=0, le=LARGEST_ID, description="The id of its row in the table `loan`.", examples=[1])
    client_id: int = Field(ge=0, le=LARGEST_ID, description="The applicant: the id in the table `user`.", examples=[7])
    amount: float = Field(
        ge=_SMALLEST_AMOUNT,
        le=LARGEST_AMOUNT,
        allow_inf_nan=False,
        description="In the currency of the loans.",
        examples=[500.0],
    )
    duration_days: int = Field(ge=1, le=LONGEST_DURATION_DAYS, description="Duration of the loan, days.", examples=[30])
    submitted_at: SubmittedAt = Field(
        description="When it is sent, with its zone. One older than a day that is not decided yet is refused.",
        examples=["2026-01-01T10:00:00Z"],
    )
    applied_on: BusinessDay | None = Field(
        None,
        description="The day at whose end features are computed; by default the day of submitted_at, UTC. At most one "
        "day ahead. A day before the stream's first is referred to a person.",
    )
    commit_lsn: str | None = Field(
        None,
        pattern=LSN_PATTERN,
        description="`pg_current_wal_lsn()` after the commit. Without it the decision waits for the application's row.",
        examples=["0/16B3748"],
    )

    def application(self) -> Application:
        """Return the application in the domain's form."""
        submitted_at = self.submitted_at.astimezone(dt.UTC)
        return Application(
            self.application_id,
            self.client_id,
            self.amount,
            self.duration_days,
            self.applied_on or submitted_at.date(),
            submitted_at,
            None if self.commit_lsn is None else lsn_of(self.commit_lsn),
        )


class ReasonAnswer(BaseModel):
    """A reason: a code for programs and a sentence for the client."""

    code: str = Field(examples=["OVERDUE_LOAN"])
    sentence: str = Field(examples=["You have a loan that is overdue."])


class DecisionAnswer(BaseModel):
    """A decision. It is logged before it is returned, and never changes."""

    decision_id: str
    application_id: int
    client_id: int
    decision: Literal["approve", "refer", "reject"]
    reasons: list[ReasonAnswer] = Field(description="What counted against approval, or that there was no history.")
    score: float | None = Field(description="Probability of default; null if there was none in time.")
    points: int | None
    model_version: str | None
    policy_version: str
    as_of: dt.date
    applied_lsn: int | None = Field(description="The position in PostgreSQL's log up to which features were applied.")
    decided_at: dt.datetime
    degraded_reason: str | None = Field(
        description="Why features or score were missing, so that a person decides; null if nothing was missing.",
        examples=["table public.payment is not complete: it was taken out of the publication"],
    )


class FiguresGiven(BaseModel):
    """The inputs of a scoring model."""

    model_config = ConfigDict(extra="forbid", strict=True)

    values: dict[
        Annotated[str, Field(max_length=_LONGEST_NAME)],
        Annotated[float, Field(allow_inf_nan=False, ge=-_LARGEST_FIGURE, le=_LARGEST_FIGURE)] | None,
    ] = Field(
        max_length=_MOST_FIGURES,
        description="By name; null where there is none.",
        examples=[{"amount": 500.0, "duration_days": 30, "paid_loans_count": 2}],
    )


class ScoreAnswer(BaseModel):
    """The score of the active model."""

    default_probability: float = Field(ge=0, le=1)
    points: int = Field(description="500 points are even odds of default; every 20 more halve them.")
    reasons: list[str] = Field(description="Codes of what cost points, the costliest first.")
    model_version: str


class ClientFeaturesAnswer(BaseModel):
    """The features of a client from the stream."""

    client_id: int
    as_of: dt.date = Field(description="The day at whose end the values are computed.")
    features: dict[str, float | int | None] = Field(description="By name; the feature registry says what null means.")
    is_client: bool = Field(description="Whether the CRM has the client, not only a loan of it.")
    applied_lsn: int = Field(description="The position in PostgreSQL's log up to which features are applied.")
    applied_commit_at: str | None = Field(description="When the last applied transaction was committed, UTC.")
    features_version: str = Field(description="The version of the feature definitions.")
    incomplete: dict[str, str] = Field(
        description="By table, why its rows are not complete for this client; empty if they are."
    )


@router.get("/clients/{client_id}/features", response_model=ClientFeaturesAnswer)
@audited("clients.read")
def client_features(
    request: Request,
    client_id: Annotated[int, Path(ge=0, le=LARGEST_ID, description="The client's id.")],
    as_of: Annotated[BusinessDay | None, Query(description="The day, today by default; at most one day ahead.")] = None,
) -> ClientFeaturesAnswer:
    """Return the features of a client at the end of a day, from all changes that the stream has applied.

    503 if no stream has written yet, 404 for an unknown client.
    """
    about(request, "client", client_id)
    service = service_of(request)
    refuse_future("query.as_of", as_of, service.clock())
    online = service.of(LendingService).features
    found = online.features_of(client_id, as_of or service.clock().date())
    if found is None:
        if online.store.fact(EPOCH) is None:
            raise ProblemError(503, "no stream has written features yet; start it with `make stream`")
        raise ProblemError(404, f"the stream has no client {client_id}")
    return ClientFeaturesAnswer(
        client_id=client_id,
        as_of=found.as_of,
        features=found.values,
        is_client=found.is_known,
        applied_lsn=found.applied_lsn,
        applied_commit_at=found.committed_at,
        features_version=found.version,
        incomplete=dict(found.incomplete),
    )


@deciding.post(
    "/decisions",
    response_model=DecisionAnswer,
    responses={409: {"description": "The application was sent before with other content.", "model": Problem}},
)
@not_audited("ops.loan_decisions has every decision with the key")
async def decisions(request: Request, given: ApplicationGiven) -> Response:
    """Decide an application: approve, refer to a person, or reject, with reasons.

    It waits until the features cover the application's commit, and refers if features or score are not available in
    time, or if a table that they read is not complete. The same application gets the same answer again, bit for bit.
    """
    began = time.perf_counter()
    lending = service_of(request).of(LendingService)
    try:
        answered = await lending.decisions.decide(given.application(), request.state.key.name)
    except RefusedError as error:
        raise ProblemError(422, str(error), errors=[Fault(where=f"body.{error.field}", what=str(error))]) from None
    except ConflictError as error:
        raise ProblemError(409, str(error)) from None
    except NoPolicyError as error:
        raise ProblemError(503, f"no application can be decided: {error}") from None
    record = answered.record
    if not answered.is_repeat:
        lending.metrics.decisions.labels(record.decision, str(record.degraded_reason is None).lower()).inc()
        lending.metrics.seconds.observe(time.perf_counter() - began)
    return Response(record.answer, media_type=_JSON)


@deciding.post("/score", response_model=ScoreAnswer)
@not_audited("nothing is stored, and no person is named")
async def score(request: Request, given: FiguresGiven) -> Response:
    """Score figures with the active model. Nothing is decided or recorded.

    503 if no model is active, 422 if a figure of the model is missing.
    """
    serving = service_of(request).of(LendingService).decisions.serving
    if serving.now.model is None:
        why = "; ".join(serving.now.faults) or "none is trained yet; run `make run SELECT=lending`"
        raise ProblemError(503, f"no scoring model is active: {why}")
    try:
        scored_by = await InProcess(serving).score(given.values, 0)
    except NoScoreError as error:
        raise ProblemError(422, str(error), errors=[Fault(where="body.values", what=str(error))]) from None
    scored = scored_by.scored
    answer = ScoreAnswer(
        default_probability=scored.default_probability,
        points=scored.points,
        reasons=list(scored.reasons),
        model_version=scored_by.version,
    )
    return Response(answer.model_dump_json(), media_type=_JSON)
