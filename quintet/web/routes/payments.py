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
"""Items in one request; more are to be sent in several."""

LONGEST_SILENCE = dt.timedelta(days=30)

_EARLIEST = dt.datetime(2000, 1, 1)
_MOST_FAULTS = 20
_MINUTE_OF_DAY = re.compile(r"(\d{1,2})(?:h ?|:)(\d{2})")
_PING_SECONDS = 15

Text = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_ .-]*$")]
Count = Annotated[int, Field(ge=0, le=LARGEST_COUNT, strict=True)]


def _written_out(value: Any) -> Any:
    """Refuse a bare number, which pydantic would take for seconds since 1970."""
    if isinstance(value, int | float) or (isinstance(value, str) and "-" not in value.strip()[1:]):
        raise ValueError("a time is written like 2024-01-01T14:31:00Z, a day like 2024-01-01")
    return value


Moment = Annotated[dt.datetime, BeforeValidator(_written_out)]
Day = Annotated[dt.date, BeforeValidator(_written_out)]


class _Timed(BaseModel):
    """What happened in a minute."""

    model_config = ConfigDict(extra="forbid")

    minute_at: Annotated[str, Field(min_length=4, max_length=40)] = Field(
        validation_alias=AliasChoices("minute_at", "timestamp", "time"),
        description="The minute, or a moment in it: ISO 8601, without a zone UTC. Or `14h 31` of `day`.",
        examples=["2024-01-01T14:31:00Z"],
    )
    day: Day | None = Field(None, description="The day of a minute like `14h 31`, UTC.", examples=["2024-01-01"])

    def minute(self) -> int:
        """Minutes since 1970. Raises ValueError where there is no such minute."""
        found = _MINUTE_OF_DAY.fullmatch(self.minute_at.strip())
        if found:
            hour, minute = int(found[1]), int(found[2])
            if hour > 23 or minute > 59:
                raise ValueError(f"{self.minute_at!r} is no minute of a day; they go from 00h 00 to 23h 59")
            if self.day is None:
                raise ValueError(f"{self.minute_at!r} needs the day beside it, like 2024-01-01")
            return to_minute(dt.datetime.combine(self.day, dt.time(hour, minute)))
        try:
            at = dt.datetime.fromisoformat(self.minute_at.strip())
            return to_minute(at)
        except (ValueError, OverflowError):
            raise ValueError(f"{self.minute_at!r} is no time; write one like 2024-01-01T14:31:00Z") from None

    @model_validator(mode="after")
    def _has_minute(self) -> _Timed:
        if self.minute() < to_minute(_EARLIEST):
            raise ValueError(f"{self.minute_at!r} is before the year 2000")
        return self


class MinuteCount(_Timed):
    """How many transactions of a status a minute had. Sent again, the last count holds."""

    status: Text = Field(description="approved, denied, failed or another; one that is new gets a series of its own.")
    count: Count = Field(description="Transactions in the whole minute.", examples=[12])

    def item(self) -> Item:
        """What the monitor takes."""
        return Item(self.minute(), self.status.strip().lower(), self.count)


class Transaction(_Timed):
    """One transaction. Sent again with the same id and status it counts once."""

    transaction_id: Annotated[str, Field(min_length=1, max_length=100)] = Field(description="What the sender calls it.")
    status: Text | None = Field(None, description="Its status, or in place of it `auth_code`.")
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
            raise ValueError("a transaction has a status or an auth_code, one of them")
        return self

    def item(self) -> Item:
        """What the monitor takes."""
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
    """What is to be done about one item."""

    series: str
    minute_at: str
    recommendation: Literal["alert", "ok"]
    reason: str
    is_accepted: bool = Field(description="False where the minute was settled before.")
    scored_minute_at: str | None = Field(description="The minute the verdict is about; earlier while it is incomplete.")
    score: float | None = Field(description="Minus the decimal logarithm of the probability of what came.")
    expected: float | None
    observed: int | None
    window_minutes: int | None
    rule: str | None
    incident_id: str | None


class Recommendations(BaseModel):
    """The verdicts in the order of the items."""

    items: list[Recommendation]
    alerts: int = Field(description="How many of the items recommend an alert.")
    unknown_statuses: list[str] = Field(description="Statuses that came and that nobody knows, each its own series.")


class IncidentQuery(BaseModel):
    """Which incidents."""

    model_config = ConfigDict(extra="forbid")

    source: Literal["all", "live", "batch"] = Field(
        "all", description="`live`: of what was sent to the service; `batch`: of the files; `all`: both, each once."
    )
    state: Literal["any", "firing", "resolved", "withdrawn"] = Field(
        "any", description="`any` leaves out those that late counts withdrew."
    )
    page_size: int = Field(DEFAULT_PAGE_SIZE, ge=1, le=LARGEST_PAGE_SIZE, description="Most items in the answer.")
    page_token: str | None = Field(None, max_length=4_000, description="`next_page_token` of the page before.")


class IncidentRow(BaseModel):
    """An incident; ended_at is null while it lasts."""

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
    snapshot: str | None = Field(description="The snapshot behind those of files; null where none is published.")


class MinuteQuery(BaseModel):
    """Which points."""

    model_config = ConfigDict(extra="forbid")

    source: Literal["live", "batch"] = Field("live", description="Of what was sent to the service, or of the files.")
    series: list[Text] = Field(default_factory=list, max_length=40, description="Statuses, `volume` or `feed`.")
    since: Moment | None = Field(None, description="First minute, included; without a zone UTC.")
    until: Moment | None = Field(None, description="End, excluded.")
    page_size: int = Field(DEFAULT_PAGE_SIZE, ge=1, le=LARGEST_PAGE_SIZE, description="Most items in the answer.")
    page_token: str | None = Field(None, max_length=4_000, description="`next_page_token` of the page before.")


class PointRow(BaseModel):
    """A series in a minute."""

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
    """What is to be silent, and for how long."""

    model_config = ConfigDict(extra="forbid")

    series: Text | None = Field(None, description="A status, `volume` or `feed`; null for all.")
    minutes: int = Field(ge=1, le=int(LONGEST_SILENCE.total_seconds() // 60), description="How long, from now on.")
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
    """The silences that hold, the one that ends first before."""

    items: list[SilenceRow]
    next_page_token: None
    snapshot: None


class Acknowledged(BaseModel):
    """Who takes an incident on."""

    incident_id: str
    acknowledged_at: str
    acknowledged_by: str


IncidentId = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$")]


def items_of(body: Any, now: dt.datetime) -> list[Item]:
    """The items of a body: one, a list, or `{"items": […]}`. Raises ProblemError 413 or 422, which names each fault."""
    if isinstance(body, dict) and set(body) == {"items"}:
        body = body["items"]
    given = body if isinstance(body, list) else [body]
    if len(given) > MOST_ITEMS:
        raise ProblemError(413, f"{len(given):,} items in one request; send at most {MOST_ITEMS:,} at a time")
    if not given:
        raise ProblemError(422, "the list has no item; send at least one")
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
        clock = f"the clock here says {now:%Y-%m-%d %H:%M} UTC"
        raise _refused(
            [
                Fault(
                    where=f"body.{place}.minute_at",
                    what=f"{to_datetime(items[place].minute):%Y-%m-%d %H:%M} UTC has not begun: {clock} "
                    f"(up to {AHEAD.total_seconds():.0f} s ahead is taken). Send times with their zone, like +02:00",
                )
                for place in ahead
            ]
        )
    return items


def _refused(faults: Sequence[Fault]) -> ProblemError:
    shown = list(faults[:_MOST_FAULTS])
    more = f"; and {len(faults) - len(shown):,} more faults" if len(faults) > len(shown) else ""
    detail = "nothing was taken: " + "; ".join(f"{fault.where}: {fault.what}" for fault in shown[:3]) + more
    return ProblemError(422, detail, errors=shown)


def _live(request: Request) -> MonitorService:
    return service_of(request).of(PaymentsService).live


async def _json_body(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except (ValueError, RecursionError):
        raise ProblemError(
            422, "the body is no JSON; send an item, a list of items, or an object with `items`"
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
    """Take minute counts or single transactions, one or many, and say of each whether it is worth an alert.

    Sent again, nothing changes; what comes up to fifteen minutes late is scored anew. All items are taken or none.
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
    """Incidents, the last one first: what was, since when, how bad, why, and who takes care of it."""
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
    """Incidents of the live feed and of the files, each once, the last one first; and the snapshot, if any."""
    service = service_of(request)
    found: dict[str, dict[str, Any]] = {}
    snapshot_id = None
    notes = {one.incident_id: one for one in payment_store.incidents(service.store)}
    if source in ("all", "batch"):
        try:
            with service.snapshots.read() as snapshot:
                snapshot_id = snapshot.snapshot_id
                rows = records(snapshot.cursor.execute("select * from marts.fct_payment_incidents"))
        except (NoSnapshotError, duckdb.CatalogException):  # no file was judged yet
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
    """Every series by minute: what came, what was expected, and how improbable that is."""
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
    """Events as they happen: `minute` (all points of a minute), `incident`, `told` (the outbox has news).

    With `Last-Event-ID` it goes on after that event, as long as the service still knows it.
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
    """The silences that hold now."""
    service = service_of(request)
    items = [_silence(one) for one in payment_store.silences(service.store, service.clock())]
    return JSONResponse({"items": items, "next_page_token": None, "snapshot": None})


@handling.post("/silences/begin", response_model=SilenceRow)
def silence(request: Request, given: Annotated[SilenceRequest, Body()]) -> Response:
    """Be silent about a series, or about all, for some minutes."""
    service = service_of(request)
    now = service.clock()
    who, until = request.state.key.name, now + dt.timedelta(minutes=given.minutes)
    added = payment_store.add_silence(service.store, given.series, now, until, who, given.comment)
    return JSONResponse(_silence(added))


@handling.post("/silences/{silence_id}/end", response_model=SilencePage)
def end_silence(request: Request, silence_id: Annotated[int, Path(ge=1, le=2**53)]) -> Response:
    """End a silence before its time."""
    service = service_of(request)
    if not payment_store.end_silence(service.store, silence_id, service.clock()):
        raise ProblemError(404, f"there is no silence {silence_id} that holds")
    return silences(request)


@handling.post("/incidents/{incident_id}/acknowledge", response_model=Acknowledged)
def acknowledge(request: Request, incident_id: IncidentId) -> Response:
    """Take an incident on: it is not told again until it ends. The first who does stays."""
    one = take_on(request, incident_id)
    return JSONResponse(
        {
            "incident_id": one.incident_id,
            "acknowledged_at": one.acknowledged_at.isoformat(timespec="seconds") if one.acknowledged_at else None,
            "acknowledged_by": one.acknowledged_by,
        }
    )


def take_on(request: Request, incident_id: str) -> payment_store.StoredIncident:
    """Acknowledge an incident in the name of whoever asks. Raises ProblemError 404 where there is none."""
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
