"""Payments over HTTP: transactions in, recommendations out; incidents, series and the stream of events."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any

import duckdb
from fastapi import Query, Request
from sse_starlette import EventSourceResponse
from starlette.responses import JSONResponse, Response

from quintet.payments import slices
from quintet.payments import store as payment_store
from quintet.payments.incidents import WITHDRAWN, Incident, to_datetime, to_minute
from quintet.payments.items import Verdict
from quintet.payments.live import MonitorService, as_json, incident_as_json, moment
from quintet.payments.monitor import point_of
from quintet.payments.service import PaymentsService
from quintet.warehouse.snapshot import NoSnapshotError, records
from quintet.web.addresses import route_path
from quintet.web.audit import audited, not_audited
from quintet.web.problems import ProblemError
from quintet.web.routes.payments_items import items_of
from quintet.web.routes.payments_models import (
    BODY,
    EARLIEST,
    Acknowledged,
    IncidentId,
    IncidentPage,
    IncidentQuery,
    MinuteQuery,
    PointPage,
    Recommendations,
)
from quintet.web.security import guarded_router
from quintet.web.service import service_of
from quintet.web.times import refuse_swapped

router = guarded_router("payments:read", prefix="/v1/payments", tags=["payments"])
writing = guarded_router("payments:write", prefix="/v1/payments", tags=["payments"])
handling = guarded_router("payments:handle", prefix="/v1/payments", tags=["payments"])
FIRST_ROUTERS, ROUTERS = (writing,), (router, handling)

_PING_SECONDS = 15
_VALUES_OF_FILES = (
    "select incident_id, dimension, value, observed, expected, share, p_value from marts.fct_payment_incident_values "
    "order by incident_id, place"
)
_RECHECK_SECONDS = 2.0
"""How long a stream may outlive its key or session while nothing happens."""


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
    An item may also have the fields that `QUINTET_PAYMENTS_DIMENSIONS` names, such as `merchant`, each a text.
    """
    service = service_of(request)
    try:
        items = items_of(await _json_body(request), service.clock(), _live(request).monitor.dimensions)
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
    explained = {key: [one.as_json() for one in values] for key, values in slices.explanations(service.store).items()}
    of_files: dict[str, list[dict[str, Any]]] = {}
    losses = service.of(PaymentsService).live.monitor.losses
    if source in ("all", "batch"):
        try:
            with service.snapshots.read() as snapshot:
                snapshot_id = snapshot.snapshot_id
                rows = records(snapshot.cursor.execute("select * from marts.fct_payment_incidents"))
                of_files = _values_of_files(snapshot.cursor)
        except (NoSnapshotError, duckdb.CatalogException):  # no file was scored yet
            rows = []
        for row in rows:
            found[row["incident_id"]] = {
                **row,
                "source": "batch",
                "state": "firing" if row["ended_at"] is None else "resolved",
                "loss": None,
                **{name: moment(row[name]) for name in ("started_at", "detected_at", "ended_at")},
            }
    if source in ("all", "live"):
        for one in notes.values():
            if one.source == payment_store.LIVE:
                incident = Incident(**one.fields)
                loss = losses.in_words(incident) or None
                found[one.incident_id] = {"source": "live", **incident_as_json(incident), "loss": loss}
    for incident_id, row in found.items():
        note = notes.get(incident_id)
        acknowledged = note.acknowledged_at if note else None
        row["acknowledged_at"] = acknowledged.isoformat(timespec="seconds") if acknowledged else None
        row["acknowledged_by"] = note.acknowledged_by if note else None
        row["notified_times"] = note.notified_times if note else 0
        row["values"] = explained.get(incident_id) or of_files.get(incident_id, [])
    ordered = sorted(found.values(), key=lambda row: (row["started_at"], row["incident_id"]), reverse=True)
    return ordered, snapshot_id


def _values_of_files(cursor: duckdb.DuckDBPyConnection) -> dict[str, list[dict[str, Any]]]:
    try:
        rows = records(cursor.execute(_VALUES_OF_FILES))
    except duckdb.CatalogException:  # a snapshot of a version without dimensions
        return {}
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row.pop("incident_id"), []).append(row)
    return found


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
