"""Scheduled reports over HTTP: schedule one, list them, end one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Body, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from quintet.insurance.report_schedules import (
    REVIEW,
    Schedule,
    Wanted,
    add_schedule,
    end_schedule,
    find_schedule,
    schedules,
)
from quintet.insurance.schedule_times import Timing, UnusableScheduleError
from quintet.state.keys import Key
from quintet.web.audit import audited
from quintet.web.problems import Problem, ProblemError
from quintet.web.report_sender import SCOPE
from quintet.web.routes.insurance import FilterQuery, query_errors
from quintet.web.row_access import restricted_by
from quintet.web.security import guarded_router
from quintet.web.service import service_of

router = guarded_router(SCOPE, prefix="/v1/insurance/report-schedules", tags=["insurance"])
ROUTERS = (router,)

ScheduleId = Annotated[int, Path(ge=1, le=2**63 - 1)]


class ScheduleRequest(BaseModel):
    """A report, who gets it, and when."""

    model_config = ConfigDict(extra="forbid")

    report: Literal["premium", "insurance_review"] = Field("premium", description="The review is of the whole book.")
    filters: FilterQuery = Field(
        default_factory=lambda: FilterQuery.model_validate({}),
        description="Of the premium report, as `GET /v1/insurance/reports/premium` takes them.",
        examples=[{"state": ["OH"], "year_from": 2010}],
    )
    format: Literal["xlsx", "csv", "pdf"] = Field("xlsx", description="`pdf` of the review alone.")
    recipient: str = Field(max_length=320, description="One e-mail address.", examples=["ana@example.org"])
    as_link: bool = Field(False, strict=True, description="Send a link to the report instead of the file.")
    every: Literal["day", "week", "month"] = Field(examples=["month"])
    day: int = Field(
        1,
        ge=1,
        le=31,
        strict=True,
        description="Of the week (1 is Monday) or the month; a shorter month: its last day.",
    )
    at: str = Field(max_length=5, description="Local time, HH:MM.", examples=["07:30"])
    zone: str = Field("UTC", max_length=64, description="Time zone.", examples=["Europe/Berlin"])


class ScheduleRow(BaseModel):
    """A scheduled report."""

    schedule_id: int
    report: str
    filters: dict[str, Any]
    format: str
    recipient: str
    as_link: bool
    when: str = Field(examples=["each month on day 31 at 07:30 Europe/Berlin"])
    next_at: str = Field(description="UTC.", examples=["2026-01-31T06:30:00+00:00"])
    created_by: str
    ended_because: str | None


class SchedulePage(BaseModel):
    """The active schedules; never more than one page."""

    items: list[ScheduleRow]
    next_page_token: str | None = None
    snapshot: str | None = None


@router.get("", response_model=SchedulePage)
@restricted_by("agency")
def list_schedules(request: Request) -> Response:
    """List the active schedules, the next one due first; a bound key sees its own."""
    items = [row_of(one) for one in own_schedules(request)]
    return JSONResponse({"items": items, "next_page_token": None, "snapshot": None})


@router.post(
    "",
    response_model=ScheduleRow,
    responses={409: {"description": "There is no mail server.", "model": Problem}},
)
@audited("reports.schedule")
@restricted_by("agency")
def schedule_report(request: Request, given: Annotated[ScheduleRequest, Body()]) -> Response:
    """Schedule a report by e-mail. It shows what this key may see, and ends when the key is revoked."""
    return JSONResponse(row_of(schedule(request, given)))


@router.post("/{schedule_id}/end", response_model=ScheduleRow)
@audited("reports.end")
@restricted_by("agency")
def end(request: Request, schedule_id: ScheduleId) -> Response:
    """End a schedule; ending it again changes nothing."""
    service, key = service_of(request), request.state.key
    found = find_schedule(service.store, schedule_id)
    if found is None or (key.binding is not None and found.key_id != key.key_id):
        raise ProblemError(404, f"there is no schedule {schedule_id}; `GET /v1/insurance/report-schedules` lists them")
    end_schedule(service.store, schedule_id, service.clock(), f"ended by {key.name}")
    ended = find_schedule(service.store, schedule_id)
    assert ended is not None
    return JSONResponse(row_of(ended))


def own_schedules(request: Request) -> list[Schedule]:
    """Return the active schedules that the request's key may see."""
    key: Key = request.state.key
    return schedules(service_of(request).store, key.key_id if key.binding else None)


def schedule(request: Request, given: ScheduleRequest) -> Schedule:
    """Record a schedule of the request's key. Raises ProblemError 403, 409 or 422."""
    service, key = service_of(request), request.state.key
    if not key.allows("insurance:read"):
        raise ProblemError(403, f"the key of {key.name} lacks the scope insurance:read, which the report needs")
    if not service.can_send_mail:
        raise ProblemError(409, "there is no mail server; set QUINTET_SMTP_URL and start the service again")
    if given.report == REVIEW and key.binding is not None:
        raise ProblemError(403, f"the key of {key.name} is bound to {key.binding}, and the review is of the whole book")
    if given.as_link and not service.settings.public_url:
        raise ProblemError(422, "as_link: the service does not know its address; set QUINTET_PUBLIC_URL")
    with query_errors():
        given.filters.filters()
    kept = given.filters.model_dump(exclude_defaults=True, exclude_none=True)
    try:
        timing = Timing(given.every, given.day, given.at, given.zone)
        wanted = Wanted(given.report, kept, given.format, given.recipient, given.as_link, timing)
        return add_schedule(service.store, key.key_id, key.name, wanted, service.clock())
    except UnusableScheduleError as error:
        raise ProblemError(422, str(error)) from error


def row_of(one: Schedule) -> dict[str, Any]:
    """Return a schedule as an answer has it."""
    wanted = one.request
    return {
        "schedule_id": one.schedule_id,
        "report": wanted.report,
        "filters": wanted.filters,
        "format": wanted.format,
        "recipient": wanted.recipient,
        "as_link": wanted.as_link,
        "when": str(wanted.timing),
        "next_at": one.next_at.isoformat(),
        "created_by": one.created_by,
        "ended_because": one.ended_because,
    }
