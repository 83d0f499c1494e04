"""Payments over HTTP: transactions in, recommendations out; incidents, series and the stream of events."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import duckdb
from fastapi import Body, Path, Query, Request
from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from sse_starlette import EventSourceResponse
from starlette.responses import JSONResponse, Response

from quintet.payments import store as payment_store
from quintet.payments.auth_codes import status_of
from quintet.payments.detector import LARGEST_COUNT
from quintet.payments.incidents import WITHDRAWN, Incident, to_datetime, to_minute
from quintet.payments.live import MonitorService, as_json, incident_as_json, moment
from quintet.payments.monitor import AHEAD, Item, Verdict, is_ahead, point_of
from quintet.payments.service import PaymentsService
from quintet.warehouse.snapshot import NoSnapshotError, records
from quintet.web.paging import DEFAULT_PAGE_SIZE, LARGEST_PAGE_SIZE
from quintet.web.problems import Fault, ProblemError
from quintet.web.security import guarded_router
from quintet.web.service import service_of

router = guarded_router("payments:read", prefix="/v1/payments", tags=["payments"])
writing = guarded_router("payments:write", prefix="/v1/payments", tags=["payments"])
handling = guarded_router("payments:handle", prefix="/v1/payments", tags=["payments"])
FIRST_ROUTERS, ROUTERS = (writing,), (router, handling)

MOST_ITEMS = 10_000
"""The most items of one request."""

LONGEST_SILENCE = dt.timedelta(days=30)

_EARLIEST = dt.datetime(2000, 1, 1)
_MOST_FAULTS = 20
_MINUTE_OF_DAY = re.compile(r"(\d{1,2})(?:h ?|:)(\d{2})")
_PING_SECONDS = 15

Text = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_ .-]*$")]
Count = Annotated[int, Field(ge=0, le=LARGEST_COUNT, strict=True)]


def _written_out(value: Any) -> Any:
    """Refuse a bare number, which pydantic would read as seconds since 1970."""
    if isinstance(value, int | float) or (isinstance(value, str) and "-" not in value.strip()[1:]):
        raise ValueError("write a time like 2024-01-01T14:31:00Z, a day like 2024-01-01")
    return value


Moment = Annotated[dt.datetime, BeforeValidator(_written_out)]
Day = Annotated[dt.date, BeforeValidator(_written_out)]


class _Timed(BaseModel):
    """An item with the minute it belongs to."""

    model_config = ConfigDict(extra="forbid")

    minute_at: Annotated[str, Field(min_length=4, max_length=40)] = Field(
        validation_alias=AliasChoices("minute_at", "timestamp", "time"),
        description="The minute, or a time in it: ISO 8601, UTC without a zone. Or `14h 31` of `day`.",
        examples=["2024-01-01T14:31:00Z"],
    )
    day: Day | None = Field(None, description="The day of a minute like `14h 31`, UTC.", examples=["2024-01-01"])

    def minute(self) -> int:
        """Return the minutes since 1970. Raises ValueError for an invalid minute."""
        found = _MINUTE_OF_DAY.fullmatch(self.minute_at.strip())
        if found:
            hour, minute = int(found[1]), int(found[2])
            if hour > 23 or minute > 59:
                raise ValueError(f"{self.minute_at!r} is not a minute of a day; write 00h 00 to 23h 59")
            if self.day is None:
                raise ValueError(f"{self.minute_at!r} needs `day` as well, like 2024-01-01")
            return to_minute(dt.datetime.combine(self.day, dt.time(hour, minute)))
        try:
            at = dt.datetime.fromisoformat(self.minute_at.strip())
            return to_minute(at)
        except (ValueError, OverflowError):
            raise ValueError(f"{self.minute_at!r} is not a time; write one like 2024-01-01T14:31:00Z") from None

    @model_validator(mode="after")
    def _has_minute(self) -> _Timed:
        if self.minute() < to_minute(_EARLIEST):
            raise ValueError(f"{self.minute_at!r} is before the year 2000")
        return self


class MinuteCount(_Timed):
    """The count of transactions of a status in a minute. If it is sent again, the last count replaces it."""

    status: Text = Field(description="approved, denied, failed or another; a new one gets a series of its own.")
    count: Count = Field(description="Transactions in the whole minute.", examples=[12])

    def item(self) -> Item:
        """Return the item in the monitor's form."""
        return Item(self.minute(), self.status.strip().lower(), self.count)


class Transaction(_Timed):
    """One transaction. Sent again with the same id and status, it counts once."""

    transaction_id: Annotated[str, Field(min_length=1, max_length=100)] = Field(description="The sender's id.")
    status: Text | None = Field(None, description="Its status; send it or `auth_code`.")
    auth_code: str | None = Field(
        None, description="ISO 8583 action code: 00 is approved, 91 failed, 51 denied.", pattern=r"^[0-9A-Z]{2}$"
    )

    @field_validator("auth_code")
    @classmethod
    def _is_code(cls, code: str | None) -> str | None:
        if code is not None:
            status_of(code)
        return code

    @model_validator(mode="after")
    def _has_one(self) -> Transaction:
        if (self.status is None) == (self.auth_code is None):
            raise ValueError("send either status or auth_code")
        return self

    def item(self) -> Item:
        """Return the item in the monitor's form."""
        status = status_of(self.auth_code) if self.auth_code else (self.status or "").strip().lower()
        return Item(self.minute(), status, 1, self.transaction_id)


def _kind(value: Any) -> str:
    has_id = "transaction_id" in value if isinstance(value, dict) else isinstance(value, Transaction)
    return "transaction" if has_id else "minute count"


AnyItem = Annotated[
    Annotated[MinuteCount, Tag("minute count")] | Annotated[Transaction, Tag("transaction")], Discriminator(_kind)
]


_ITEMS: TypeAdapter[list[MinuteCount | Transaction]] = TypeAdapter(list[AnyItem])


_LIST = {
    "type": "array",
    "minItems": 1,
    "maxItems": MOST_ITEMS,
    "items": {"anyOf": [MinuteCount.model_json_schema(), Transaction.model_json_schema()]},
}
_BODY = {
    "anyOf": [
        *_LIST["items"]["anyOf"],  # type: ignore[index]
        _LIST,
        {"type": "object", "properties": {"items": _LIST}, "required": ["items"], "additionalProperties": False},
    ]
}


class Recommendation(BaseModel):
    """The recommendation for one item."""

    series: str
    minute_at: str
    recommendation: Literal["alert", "ok"]
    reason: str
    is_accepted: bool = Field(description="False if the minute was already closed.")
    scored_minute_at: str | None = Field(description="The scored minute; earlier while the item's is incomplete.")
    score: float | None = Field(description="Minus the decimal logarithm of the probability of the observed count.")
    expected: float | None
    observed: int | None
    window_minutes: int | None
    rule: str | None
    incident_id: str | None


class Recommendations(BaseModel):
    """The recommendations in the order of the items."""

    items: list[Recommendation]
    alerts: int = Field(description="How many of the items recommend an alert.")
    unknown_statuses: list[str] = Field(description="Unknown statuses among the items; each is a series of its own.")


class IncidentQuery(BaseModel):
    """Filters of incidents."""

    model_config = ConfigDict(extra="forbid")

    source: Literal["all", "live", "batch"] = Field(
        "all", description="`live`: from items sent to the service; `batch`: from files; `all`: both, each once."
    )
    state: Literal["any", "firing", "resolved", "withdrawn"] = Field(
        "any", description="`any` omits incidents that late counts withdrew."
    )
    page_size: int = Field(DEFAULT_PAGE_SIZE, ge=1, le=LARGEST_PAGE_SIZE, description="Maximum number of items.")
    page_token: str | None = Field(None, max_length=4_000, description="`next_page_token` of the previous page.")


class IncidentRow(BaseModel):
    """An incident; ended_at is null while it is open."""

    model_config = ConfigDict(extra="allow")

    incident_id: str
    source: Literal["live", "batch"]
    series: str
    state: str
    severity: str
    started_at: str
    detected_at: str
    ended_at: str | None
    rule: str
    reason: str
    acknowledged_at: str | None
    acknowledged_by: str | None


class IncidentPage(BaseModel):
    """Incidents, the last one first."""

    items: list[IncidentRow]
    next_page_token: str | None
    snapshot: str | None = Field(description="The snapshot of the incidents from files; null if none is published.")


class MinuteQuery(BaseModel):
    """Filters of points."""

    model_config = ConfigDict(extra="forbid")

    source: Literal["live", "batch"] = Field("live", description="From items sent to the service, or from files.")
    series: list[Text] = Field(default_factory=list, max_length=40, description="Statuses, `volume` or `feed`.")
    since: Moment | None = Field(None, description="First minute, included; UTC without a zone.")
    until: Moment | None = Field(None, description="End, excluded.")
    page_size: int = Field(DEFAULT_PAGE_SIZE, ge=1, le=LARGEST_PAGE_SIZE, description="Maximum number of items.")
    page_token: str | None = Field(None, max_length=4_000, description="`next_page_token` of the previous page.")


class PointRow(BaseModel):
    """One minute of a series."""

    series: str
    minute_at: str
    score: float
    expected: float
    observed: int
    window_minutes: int
    minute_count: int
    lower: float
    upper: float
    rule: str | None
    is_anomalous: bool
    reason: str | None


class PointPage(BaseModel):
    """Points by minute and series."""

    items: list[PointRow]
    next_page_token: str | None
    snapshot: str | None


class SilenceRequest(BaseModel):
    """A series to silence, and for how long."""

    model_config = ConfigDict(extra="forbid")

    series: Text | None = Field(None, description="A status, `volume` or `feed`; null for all.")
    minutes: int = Field(ge=1, le=int(LONGEST_SILENCE.total_seconds() // 60), description="How long, from now.")
    comment: str = Field("", max_length=300)


class SilenceRow(BaseModel):
    """A silence."""

    silence_id: int
    series: str | None
    starts_at: str
    expires_at: str
    created_by: str
    comment: str


class SilencePage(BaseModel):
    """The active silences, by their end."""

    items: list[SilenceRow]
    next_page_token: None
    snapshot: None


class Acknowledged(BaseModel):
    """Who acknowledged an incident, and when."""

    incident_id: str
    acknowledged_at: str
    acknowledged_by: str


IncidentId = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$")]


def items_of(body: Any, now: dt.datetime) -> list[Item]:
    """Return the items of a body: one, a list, or `{"items": […]}`. Raises ProblemError 413, or 422 with each fault."""
    if isinstance(body, dict) and set(body) == {"items"}:
        body = body["items"]
    given = body if isinstance(body, list) else [body]
    if len(given) > MOST_ITEMS:
        raise ProblemError(413, f"{len(given):,} items in one request; send at most {MOST_ITEMS:,} at a time")
    if not given:
        raise ProblemError(422, "the list is empty; send at least one item")
    try:
        items = [one.item() for one in _ITEMS.validate_python(given)]
    except ValidationError as error:
        faults = [
            Fault(where=".".join(["body", *(str(part) for part in found["loc"])]), what=found["msg"])
            for found in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise _refused(faults) from None
    ahead = [place for place, item in enumerate(items) if is_ahead(item.minute, now)]
    if ahead:
        clock = f"the service's clock is at {now:%Y-%m-%d %H:%M} UTC"
        raise _refused(
            [
                Fault(
                    where=f"body.{place}.minute_at",
                    what=f"{to_datetime(items[place].minute):%Y-%m-%d %H:%M} UTC has not begun: {clock} "
                    f"({AHEAD.total_seconds():.0f} s ahead are allowed). Send times with their zone, like +02:00",
                )
                for place in ahead
            ]
        )
    return items


def _refused(faults: Sequence[Fault]) -> ProblemError:
    shown = list(faults[:_MOST_FAULTS])
    more = f"; and {len(faults) - len(shown):,} more faults" if len(faults) > len(shown) else ""
    detail = "no item was stored: " + "; ".join(f"{fault.where}: {fault.what}" for fault in shown[:3]) + more
    return ProblemError(422, detail, errors=shown)


def _live(request: Request) -> MonitorService:
    return service_of(request).of(PaymentsService).live


async def _json_body(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except (ValueError, RecursionError):
        raise ProblemError(
            422, "the body is not JSON; send an item, a list of items, or an object with `items`"
        ) from None


@writing.post(
    "/transactions",
    response_model=Recommendations,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": _BODY,
                    "examples": {
                        "a minute": {
                            "value": {
                                "items": [
                                    {"minute_at": "2024-01-01T14:31:00Z", "status": "approved", "count": 116},
                                    {"minute_at": "2024-01-01T14:31:00Z", "status": "denied", "count": 9},
                                ]
                            }
                        },
                        "one transaction": {
                            "value": {"minute_at": "2024-01-01T14:31:27Z", "transaction_id": "t-1", "auth_code": "51"}
                        },
                    },
                }
            },
        }
    },
)
async def transactions(request: Request) -> Response:
    """Store minute counts or single transactions, one or many, and recommend for each whether to alert.

    Sending an item again changes nothing; one up to fifteen minutes late is scored again. All items are stored or none.
    """
    service = service_of(request)
    items = items_of(await _json_body(request), service.clock())
    verdicts = await asyncio.wrap_future(_live(request).submit(items))
    return JSONResponse(
        {
            "items": [_recommendation(verdict) for verdict in verdicts],
            "alerts": sum(verdict.recommendation == "alert" for verdict in verdicts),
            "unknown_statuses": list(_live(request).monitor.unknown_statuses),
        }
    )


def _recommendation(verdict: Verdict) -> dict[str, Any]:
    point = verdict.point
    return {
        "series": verdict.item.series,
        "minute_at": moment(to_datetime(verdict.item.minute)),
        "recommendation": verdict.recommendation,
        "reason": verdict.reason,
        "is_accepted": verdict.is_accepted,
        "scored_minute_at": moment(point.minute_at) if point else None,
        "score": round(point.score, 3) if point else None,
        "expected": round(point.expected, 4) if point else None,
        "observed": point.observed if point else None,
        "window_minutes": point.window_minutes if point else None,
        "rule": (point.rule or None) if point else None,
        "incident_id": verdict.incident_id,
    }


@router.get("/incidents", response_model=IncidentPage)
def incidents(request: Request, query: Annotated[IncidentQuery, Query()]) -> Response:
    """List incidents, the last one first: what, since when, how bad, why, and who acknowledged it."""
    service = service_of(request)
    question = {"route": request.url.path, **query.model_dump(exclude={"page_size", "page_token"})}
    after = service.tokens.read(question, query.page_token)
    rows, snapshot = all_incidents(request, query.source)
    if query.state == "any":
        rows = [row for row in rows if row["state"] != WITHDRAWN]
    else:
        rows = [row for row in rows if row["state"] == query.state]
    if after is not None:
        rows = [row for row in rows if (row["started_at"], row["incident_id"]) < tuple(after)]
    page = rows[: query.page_size]
    last = (page[-1]["started_at"], page[-1]["incident_id"]) if len(rows) > len(page) else None
    return JSONResponse({"items": page, "next_page_token": service.tokens.make(question, last), "snapshot": snapshot})


def all_incidents(request: Request, source: str = "all") -> tuple[list[dict[str, Any]], str | None]:
    """Return incidents of the live feed and of files, each once, the last one first; and the snapshot, if any."""
    service = service_of(request)
    found: dict[str, dict[str, Any]] = {}
    snapshot_id = None
    notes = {one.incident_id: one for one in payment_store.incidents(service.store)}
    if source in ("all", "batch"):
        try:
            with service.snapshots.read() as snapshot:
                snapshot_id = snapshot.snapshot_id
                rows = records(snapshot.cursor.execute("select * from marts.fct_payment_incidents"))
        except (NoSnapshotError, duckdb.CatalogException):  # no file was scored yet
            rows = []
        for row in rows:
            found[row["incident_id"]] = {
                **row,
                "source": "batch",
                "state": "firing" if row["ended_at"] is None else "resolved",
                **{name: moment(row[name]) for name in ("started_at", "detected_at", "ended_at")},
            }
    if source in ("all", "live"):
        for one in notes.values():
            if one.source == payment_store.LIVE:
                found[one.incident_id] = {"source": "live", **incident_as_json(Incident(**one.fields))}
    for incident_id, row in found.items():
        note = notes.get(incident_id)
        acknowledged = note.acknowledged_at if note else None
        row["acknowledged_at"] = acknowledged.isoformat(timespec="seconds") if acknowledged else None
        row["acknowledged_by"] = note.acknowledged_by if note else None
        row["told_times"] = note.told_times if note else 0
    ordered = sorted(found.values(), key=lambda row: (row["started_at"], row["incident_id"]), reverse=True)
    return ordered, snapshot_id


@router.get("/minutes", response_model=PointPage)
def minutes(request: Request, query: Annotated[MinuteQuery, Query()]) -> Response:
    """List every series by minute: the observed and expected counts, and how improbable they are."""
    service = service_of(request)
    question = {"route": request.url.path, **query.model_dump(mode="json", exclude={"page_size", "page_token"})}
    after = service.tokens.read(question, query.page_token)
    since = _minute_of(query.since, to_minute(_EARLIEST))
    until = _minute_of(query.until, to_minute(dt.datetime(2200, 1, 1)))
    snapshot_id = None
    if query.source == "live":
        points = payment_store.points(
            service.store, since, until, query.series, tuple(after) if after else None, query.page_size + 1
        )
        items = [as_json(point_of(point)) for point in points]
    else:
        with service.snapshots.read() as snapshot:
            snapshot_id = snapshot.snapshot_id
            items = _batch_points(snapshot.cursor, since, until, query.series, after, query.page_size + 1)
    page = items[: query.page_size]
    last = (to_minute(dt.datetime.fromisoformat(page[-1]["minute_at"])), page[-1]["series"]) if page else None
    token = service.tokens.make(question, last if len(items) > len(page) else None)
    return JSONResponse({"items": page, "next_page_token": token, "snapshot": snapshot_id})


def _minute_of(at: dt.datetime | None, otherwise: int) -> int:
    return otherwise if at is None else to_minute(at)


def _batch_points(
    cursor: duckdb.DuckDBPyConnection, since: int, until: int, series: Sequence[str], after: Any, limit: int
) -> list[dict[str, Any]]:
    minute, name = after or (since - 1, "")
    rows = records(
        cursor.execute(
            "select series, minute_at, score, expected, observed, window_minutes, minute_count, lower, upper, rule, "
            "is_anomalous, reason from marts.fct_payment_points "
            "where minute_at >= $since and minute_at < $until and (minute_at, series) > ($after_at::timestamp, $name) "
            "and (len($series) = 0 or list_contains($series, series)) order by minute_at, series limit $limit",
            {
                "since": to_datetime(since),
                "until": to_datetime(until),
                "after_at": to_datetime(minute),
                "name": name,
                "series": list(series),
                "limit": limit,
            },
        )
    )
    return [{**row, "minute_at": moment(row["minute_at"]), "rule": row["rule"] or None} for row in rows]


@router.get("/stream", response_class=EventSourceResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def stream(request: Request) -> EventSourceResponse:
    """Stream events: `minute` (all points of a minute), `incident`, `told` (the outbox has changed).

    With `Last-Event-ID` it continues after that event, as long as the service still has it.
    """
    given = request.headers.get("last-event-id", "")
    live = _live(request)
    listener = live.listen(int(given) if given.isdecimal() and len(given) < 16 else None)

    async def events() -> AsyncIterator[Mapping[str, Any]]:
        try:
            yield {"comment": "listening"}
            while (event := await listener.queue.get()) is not None:
                yield {"id": str(event.number), "event": event.kind, "data": json.dumps(event.data)}
        finally:
            live.leave(listener)

    return EventSourceResponse(events(), ping=_PING_SECONDS, headers={"cache-control": "no-store"})


@router.get("/silences", response_model=SilencePage)
def silences(request: Request) -> Response:
    """List the active silences."""
    service = service_of(request)
    items = [_silence(one) for one in payment_store.silences(service.store, service.clock())]
    return JSONResponse({"items": items, "next_page_token": None, "snapshot": None})


@handling.post("/silences/begin", response_model=SilenceRow)
def silence(request: Request, given: Annotated[SilenceRequest, Body()]) -> Response:
    """Silence a series, or all of them, for some minutes."""
    service = service_of(request)
    now = service.clock()
    who = request.state.key.name
    until = now + dt.timedelta(minutes=given.minutes)
    return JSONResponse(
        _silence(payment_store.add_silence(service.store, given.series, now, until, who, given.comment))
    )


@handling.post("/silences/{silence_id}/end", response_model=SilencePage)
def end_silence(request: Request, silence_id: Annotated[int, Path(ge=1, le=2**53)]) -> Response:
    """End a silence early."""
    service = service_of(request)
    if not payment_store.end_silence(service.store, silence_id, service.clock()):
        raise ProblemError(404, f"there is no active silence {silence_id}")
    return silences(request)


@handling.post("/incidents/{incident_id}/acknowledge", response_model=Acknowledged)
def acknowledge(request: Request, incident_id: IncidentId) -> Response:
    """Acknowledge an incident: no notification until it ends. The first acknowledgement stays."""
    one = acknowledge_incident(request, incident_id)
    return JSONResponse(
        {
            "incident_id": one.incident_id,
            "acknowledged_at": one.acknowledged_at.isoformat(timespec="seconds") if one.acknowledged_at else None,
            "acknowledged_by": one.acknowledged_by,
        }
    )


def acknowledge_incident(request: Request, incident_id: str) -> payment_store.StoredIncident:
    """Acknowledge an incident in the name of the request's key. Raises ProblemError 404 for an unknown one."""
    service = service_of(request)
    payment_store.acknowledge(service.store, incident_id, request.state.key.name, service.clock())
    one = payment_store.incident(service.store, incident_id)
    if one is None:
        raise ProblemError(404, f"there is no incident {incident_id} of the live feed")
    return one


def _silence(one: payment_store.StoredSilence) -> dict[str, Any]:
    return {
        "silence_id": one.silence_id,
        "series": one.series,
        "starts_at": one.starts_at.isoformat(timespec="seconds"),
        "expires_at": one.expires_at.isoformat(timespec="seconds"),
        "created_by": one.created_by,
        "comment": one.comment,
    }
