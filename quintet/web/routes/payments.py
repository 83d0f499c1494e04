"""Payments over HTTP: transactions in, recommendations out; incidents, series and the stream of events."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any

import duckdb
from fastapi import Body, Query, Request
from pydantic import (
    ValidationError,
)
from sse_starlette import EventSourceResponse
from starlette.responses import JSONResponse, Response

from quintet.payments import store as payment_store
from quintet.payments.incidents import WITHDRAWN, Incident, to_datetime, to_minute
from quintet.payments.live import MonitorService, as_json, incident_as_json, moment
from quintet.payments.monitor import AHEAD, Item, Verdict, is_ahead, point_of
from quintet.payments.service import PaymentsService
from quintet.warehouse.snapshot import NoSnapshotError, records
from quintet.web.addresses import route_path
from quintet.web.audit import audited, not_audited
from quintet.web.problems import Fault, ProblemError
from quintet.web.routes.payments_models import (
    BODY,
    EARLIEST,
    ITEMS,
    MOST_ITEMS,
    Acknowledged,
    IncidentId,
    IncidentPage,
    IncidentQuery,
    MinuteQuery,
    PointPage,
    Recommendations,
    SilenceId,
    SilencePage,
    SilenceRequest,
    SilenceRow,
)
from quintet.web.security import guarded_router
from quintet.web.service import service_of
from quintet.web.times import refuse_swapped

router = guarded_router("payments:read", prefix="/v1/payments", tags=["payments"])
writing = guarded_router("payments:write", prefix="/v1/payments", tags=["payments"])
handling = guarded_router("payments:handle", prefix="/v1/payments", tags=["payments"])
FIRST_ROUTERS, ROUTERS = (writing,), (router, handling)

_MOST_FAULTS = 20
_PING_SECONDS = 15
_RECHECK_SECONDS = 2.0
"""How long a stream may outlive its key or session while nothing happens."""


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
        items = [one.item() for one in ITEMS.validate_python(given)]
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
                    "schema": BODY,
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
@not_audited("the counts are stored; who sends which is in the log of requests")
async def transactions(request: Request) -> Response:
    """Store minute counts or single transactions, one or many, and recommend for each whether to alert.

    Sending an item again changes nothing; one up to fifteen minutes late is scored again. All items are stored or none.
    """
    service = service_of(request)
    try:
        items = items_of(await _json_body(request), service.clock())
    except ProblemError:
        _live(request).self_test.note(False)  # a clock that is wrong refuses all counts as ahead of it
        raise
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
    question = {"route": route_path(request), **query.model_dump(exclude={"page_size", "page_token"})}
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
        row["notified_times"] = note.notified_times if note else 0
    ordered = sorted(found.values(), key=lambda row: (row["started_at"], row["incident_id"]), reverse=True)
    return ordered, snapshot_id


@router.get("/minutes", response_model=PointPage)
def minutes(request: Request, query: Annotated[MinuteQuery, Query()]) -> Response:
    """List every series by minute: the observed and expected counts, and how improbable they are."""
    refuse_swapped(("since", "until"), query.since, query.until)
    service = service_of(request)
    question = {"route": route_path(request), **query.model_dump(mode="json", exclude={"page_size", "page_token"})}
    after = service.tokens.read(question, query.page_token)
    since = _minute_of(query.since, to_minute(EARLIEST))
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
    """Stream events: `minute` (all points of a minute), `incident`, `notified` (the outbox has changed).

    With `Last-Event-ID` it continues after that event, as long as the service still has it. After an event of another
    service it sends what it has, so that nothing is missed, and some events twice.
    """
    live, gate = _live(request), service_of(request).gate
    listener = live.listen(live.number_of(request.headers.get("last-event-id", "")))

    async def events() -> AsyncIterator[Mapping[str, Any]]:
        try:
            yield {"comment": "listening"}
            while gate.is_still_allowed(request):
                try:
                    async with asyncio.timeout(_RECHECK_SECONDS):
                        event = await listener.queue.get()
                except TimeoutError:
                    continue
                if event is None:
                    return
                yield {"id": live.id_of(event), "event": event.kind, "data": json.dumps(event.data)}
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
@audited("silences.begin")
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
@audited("silences.end")
def end_silence(request: Request, silence_id: SilenceId) -> Response:
    """End a silence early."""
    service = service_of(request)
    if not payment_store.end_silence(service.store, silence_id, service.clock()):
        raise ProblemError(404, f"there is no active silence {silence_id}")
    return silences(request)


@handling.post("/incidents/{incident_id}/acknowledge", response_model=Acknowledged)
@audited("incidents.acknowledge")
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
