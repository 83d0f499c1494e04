"""The adverse-action notice of a rejected loan application, as JSON and as a letter."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

import duckdb
from fastapi import Path, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from quintet.cases import store as case_store
from quintet.lending.adverse_action import REFER, MachineDecision, NoNoticeError, Notice, notice_of, paragraphs
from quintet.lending.application import LARGEST_ID
from quintet.lending.cases import LOAN
from quintet.lending.decision_log import DecisionLog
from quintet.lending.policy import Policy, PolicyError
from quintet.lending.service import LendingService
from quintet.lending.settings import LendingSettings
from quintet.lending.verdicts import final_decision
from quintet.presentation.design import format_value
from quintet.presentation.letter import Letter, letter_pdf
from quintet.warehouse.snapshot import NoSnapshotError
from quintet.web.audit import about, audited
from quintet.web.problems import Problem, ProblemError
from quintet.web.security import guarded_router
from quintet.web.service import Service, service_of

router = guarded_router("lending:read", prefix="/v1/lending", tags=["lending"])
ROUTERS = (router,)

_PDF = "application/pdf"


class NoticeAnswered(BaseModel):
    """Why an application was rejected, for the client: no code, no name of a model, no figure of the business."""

    application_id: int = Field(examples=[1])
    client_id: int = Field(examples=[7])
    decided_on: dt.date
    decided_by: Literal["an automated decision", "a person"]
    amount: float | None = Field(description="Of the loan; null if it is not known.")
    reasons: list[str] = Field(description="The principal reasons, the most important first.", max_length=4)
    what_you_can_do: list[str]


@router.get(
    "/applications/{application_id}/notice",
    response_model=NoticeAnswered,
    responses={
        200: {"content": {_PDF: {"schema": {"type": "string", "format": "binary"}}}},
        404: {"description": "There is no such application.", "model": Problem},
        409: {"description": "It is not rejected.", "model": Problem},
    },
)
@audited("notices.read")
def notice(
    request: Request,
    application_id: Annotated[int, Path(ge=0, le=LARGEST_ID, description="The id of the application.")],
    kind: Annotated[Literal["json", "pdf"], Query(alias="format", description="`pdf`: as a letter.")] = "json",
) -> Response:
    """Return the adverse-action notice of a rejected application: the principal reasons, and what the client can do.

    A person's final decision counts before the machine's, with the person's reason. 404 for an application that is
    not decided, 409 for one that is not rejected.
    """
    about(request, "application", application_id)
    service = service_of(request)
    try:
        found = find_notice(service, application_id)
    except NoNoticeError as error:
        raise ProblemError(409, str(error)) from None
    if found is None:
        raise ProblemError(404, f"application {application_id} is not decided, neither by the service nor in a build")
    if kind == "json":
        return JSONResponse(NoticeAnswered(**vars(found)).model_dump(mode="json"))
    own = service.settings.of(LendingSettings)
    headers = {"content-disposition": f'inline; filename="notice-{application_id}.pdf"'}
    return Response(letter_pdf(_letter(found, own)), media_type=_PDF, headers=headers)


def find_notice(service: Service, application_id: int) -> Notice | None:
    """Return the notice of an application; None if it is not decided. Raises NoNoticeError if it is not rejected."""
    log = service.of(LendingService).decisions.log
    final = final_decision(service.store, application_id)
    record = log.of_application(application_id)
    if record is not None:
        policy = _policy(log.artefact(record.policy_sha256))
        return notice_of(application_id, MachineDecision.of(record), policy, final)
    built = _in_build(service, application_id)
    if built is None:  # it is not open any more, and only its case still names the client
        client_id = _client_of_case(service, application_id) if final is not None else None
        if final is None or client_id is None:
            return None
        known = MachineDecision(client_id, REFER, final.decided_at.date(), None, (), None)
        return notice_of(application_id, known, None, final)
    machine, version = built
    return notice_of(application_id, machine, _policy_of_version(service, log, version), final)


def _in_build(service: Service, application_id: int) -> tuple[MachineDecision, str] | None:
    """Return the decision of the current snapshot on an open application, and the version of its policy."""
    try:
        with service.snapshots.read() as snapshot:
            rows: list[tuple[Any, ...]] = snapshot.cursor.execute(
                "select client_id, decision, applied_on, amount, reasons, score, policy_version "
                "from marts.fct_application_decisions where application_id = ?",
                [application_id],
            ).fetchall()
    except (NoSnapshotError, duckdb.CatalogException):
        return None
    return (MachineDecision(*rows[0][:-1]), rows[0][-1]) if rows else None


def _client_of_case(service: Service, application_id: int) -> int | None:
    """Return the client of the case of an application; None without a case, and for a client who was forgotten."""
    case = case_store.find(service.store.read(), case_store.case_id_of(*LOAN.key, str(application_id)))
    client = case.person_id if case is not None else None
    return int(client) if client is not None and client.isdecimal() else None


def _policy_of_version(service: Service, log: DecisionLog, version: str) -> Policy | None:
    now: Policy | None = service.of(LendingService).decisions.serving.now.policy
    if now is not None and now.version == version:
        return now
    sha256 = log.policy_of_version(version)
    return _policy(log.artefact(sha256)) if sha256 is not None else None


def _policy(text: str | None) -> Policy | None:
    try:
        return Policy.from_text(text) if text is not None else None
    except PolicyError:  # of a release with other features; the reasons of the score still have their sentences
        return None


def _letter(found: Notice, own: LendingSettings) -> Letter:
    amount = "" if found.amount is None else format_value(found.amount, "money")
    contact = (
        f"Write to us: {own.lender_contact}" if own.lender_contact else "Write to us, with your application number."
    )
    return Letter(
        title="Notice of a decision on your loan application",
        sender=[line for line in (own.lender_name, own.lender_contact) if line],
        recipient=f"Client {found.client_id}",
        on=found.decided_on,
        opening=paragraphs(found, amount),
        points=found.reasons,
        heading="What you can do",
        steps=found.what_you_can_do,
        closing=contact,
    )
