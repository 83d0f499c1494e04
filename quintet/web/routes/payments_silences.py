"""Silences of payments over HTTP: which incidents send no messages, when, and how often."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from fastapi import Body, Path, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import JSONResponse, Response

from quintet.payments.dimensions import MOST_DIMENSIONS, clean_value
from quintet.payments.opening_hours import parse_weekly_hours, time_zone
from quintet.payments.service import PaymentsService
from quintet.payments.settings import PaymentsSettings
from quintet.payments.silences import Silence, end_silence, request_silence, silences
from quintet.web.audit import audited
from quintet.web.problems import ProblemError
from quintet.web.routes.payments_models import Text
from quintet.web.security import guarded_router
from quintet.web.service import service_of
from quintet.web.times import RecordedMoment

router = guarded_router("payments:read", prefix="/v1/payments", tags=["payments"])
handling = guarded_router("payments:handle", prefix="/v1/payments", tags=["payments"])
ROUTERS = (router, handling)

LONGEST = dt.timedelta(days=30)
LONGEST_WEEKLY = dt.timedelta(days=366)
"""How long a silence may last: all the time, and in windows of the week."""

_MOST_VALUES = 50
_MINUTE = dt.timedelta(minutes=1)

Dimension = Annotated[str, StringConstraints(max_length=30)]
Value = Annotated[str, StringConstraints(min_length=1, max_length=5_000)]


class SilenceRequest(BaseModel):
    """What to silence, from when and until when. What is left out matches every incident."""

    model_config = ConfigDict(extra="forbid")

    series: Text | None = Field(None, description="A status, `volume` or `feed`; null for all.")
    severity: Literal["warning", "critical"] | None = Field(None, description="Null for both.")
    values: dict[Dimension, Annotated[list[Value], Field(min_length=1, max_length=_MOST_VALUES)]] = Field(
        default_factory=dict,
        max_length=MOST_DIMENSIONS,
        description="By dimension, the values that an incident may be explained by.",
        examples=[{}],
    )
    starts_at: RecordedMoment | None = Field(None, description="When it begins, UTC without a zone; null for now.")
    minutes: int | None = Field(
        None, ge=1, le=int(LONGEST_WEEKLY / _MINUTE), description="How long, from its start; or send `expires_at`."
    )
    expires_at: RecordedMoment | None = Field(None, description="When it ends, UTC without a zone.")
    weekly: str = Field(
        "",
        max_length=500,
        description="The windows of the week in which it is active, like `mon-fri 22:00-02:00; sun 00:00-06:00`; "
        "empty for all the time.",
    )
    time_zone: str | None = Field(
        None, max_length=60, description="Of these windows; null for that of payments.", examples=["Europe/Berlin"]
    )
    comment: str = Field("", max_length=300)


class SilenceRow(BaseModel):
    """A silence."""

    silence_id: int
    series: str | None
    severity: str | None
    values: dict[str, list[str]]
    starts_at: str
    expires_at: str
    weekly: str
    time_zone: str
    is_active: bool = Field(description="Whether it is active now.")
    created_by: str
    comment: str


class SilencePage(BaseModel):
    """The current and future silences, by their end."""

    items: list[SilenceRow]
    next_page_token: None
    snapshot: None


SilenceId = Annotated[int, Path(ge=1, le=2**53)]


@router.get("/silences", response_model=SilencePage)
def list_silences(request: Request) -> Response:
    """List the current and future silences."""
    service = service_of(request)
    now = service.clock()
    items = [as_json(one, now) for one in silences(service.store, now)]
    return JSONResponse({"items": items, "next_page_token": None, "snapshot": None})


@handling.post("/silences/begin", response_model=SilenceRow)
@audited("silences.begin")
def begin(request: Request, given: Annotated[SilenceRequest, Body()]) -> Response:
    """Silence the incidents that match: at once or later, for a while, all the time or in windows of the week."""
    return JSONResponse(as_json(begin_silence(request, given), service_of(request).clock()))


@handling.post("/silences/{silence_id}/end", response_model=SilencePage)
@audited("silences.end")
def end(request: Request, silence_id: SilenceId) -> Response:
    """End a silence early."""
    service = service_of(request)
    if not end_silence(service.store, silence_id, service.clock()):
        raise ProblemError(404, f"there is no active silence {silence_id}")
    return list_silences(request)


def begin_silence(request: Request, given: SilenceRequest) -> Silence:
    """Write a silence in the name of the request's key. Raises ProblemError 422 for one that cannot be."""
    service = service_of(request)
    own = service.settings.of(PaymentsSettings)
    silence = silence_of(
        given,
        service.clock(),
        request.state.key.name,
        service.of(PaymentsService).live.monitor.dimensions,
        own.payments_time_zone,
    )
    return request_silence(service.store, silence)


def silence_of(given: SilenceRequest, now: dt.datetime, who: str, dimensions: tuple[str, ...], zone: str) -> Silence:
    """Return the silence that a request describes. zone: of windows that name none. Raises ProblemError 422."""
    unknown = sorted(set(given.values) - set(dimensions))
    if unknown:
        declared = ", ".join(dimensions) or "none"
        raise ProblemError(
            422, f"values: {unknown[0][:40]!r} is no dimension; QUINTET_PAYMENTS_DIMENSIONS names {declared}"
        )
    values = {name: tuple(sorted({clean_value(one) for one in texts})) for name, texts in given.values.items()}
    if any("" in texts for texts in values.values()):
        raise ProblemError(422, "values: a value without a visible character matches nothing; leave it out")
    zone = given.time_zone or zone
    try:
        time_zone(zone)
        spans = parse_weekly_hours(given.weekly) if given.weekly.strip() else None
    except ValueError as error:
        raise ProblemError(422, f"weekly or time_zone: {error}") from None
    if spans is not None and not any(spans):
        raise ProblemError(422, "weekly: the silence has no window in any week")
    starts_at = now if given.starts_at is None else max(_utc(given.starts_at), now)
    if (given.minutes is None) == (given.expires_at is None):
        raise ProblemError(422, "send either minutes or expires_at")
    try:
        expires_at = _utc(given.expires_at) if given.expires_at else starts_at + (given.minutes or 0) * _MINUTE
        longest = starts_at + (LONGEST if spans is None else LONGEST_WEEKLY)
    except OverflowError:
        raise ProblemError(422, "starts_at: the time is too far ahead") from None
    if expires_at <= starts_at:
        raise ProblemError(422, f"expires_at: {expires_at:%Y-%m-%d %H:%M} UTC is not after its start and after now")
    if expires_at > longest:
        raise ProblemError(
            422,
            f"expires_at: a silence lasts at most {LONGEST.days} days, and {LONGEST_WEEKLY.days} with windows of the "
            "week",
        )
    return Silence(
        given.series,
        starts_at,
        expires_at,
        who,
        given.comment,
        given.severity,
        values,
        given.weekly.strip() if spans is not None else "",
        zone,
    )


def _utc(at: dt.datetime) -> dt.datetime:
    return at.replace(tzinfo=dt.UTC) if at.tzinfo is None else at.astimezone(dt.UTC)


def as_json(one: Silence, now: dt.datetime) -> dict[str, Any]:
    """Return a silence as JSON values."""
    return {
        "silence_id": one.silence_id,
        "series": one.series,
        "severity": one.severity,
        "values": {name: list(values) for name, values in one.values.items()},
        "starts_at": one.starts_at.isoformat(timespec="seconds"),
        "expires_at": one.expires_at.isoformat(timespec="seconds"),
        "weekly": one.weekly,
        "time_zone": one.time_zone,
        "is_active": one.is_active(now),
        "created_by": one.created_by,
        "comment": one.comment,
    }
