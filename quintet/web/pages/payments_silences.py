"""Silences on the payments page: those that are active or to begin, and the form that makes one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request
from starlette.responses import Response

from quintet.payments.incidents import CRITICAL, FEED, WARNING, series_name
from quintet.payments.service import PaymentsService
from quintet.payments.settings import PaymentsSettings
from quintet.payments.silences import Silence, end_silence, silences
from quintet.web.addresses import redirect
from quintet.web.audit import audited
from quintet.web.contexts import SilenceForm, SilenceWords
from quintet.web.forms import as_request_fault, whole_number
from quintet.web.pages.payments_words import ORDER
from quintet.web.problems import ProblemError
from quintet.web.routes.payments_silences import SilenceId, SilenceRequest, begin_silence
from quintet.web.security import guarded_router
from quintet.web.service import service_of

handling = guarded_router("payments:handle", include_in_schema=False)
ROUTERS = (handling,)
PATH = "/payments"
_DURATIONS = {60: "1 hour", 240: "4 hours", 1_440: "1 day", 10_080: "1 week", 43_200: "30 days", 131_040: "13 weeks"}


@handling.post(f"{PATH}/silences")
@audited("silences.begin")
async def silence(request: Request) -> Response:
    """Silence incidents for a while and return to the page."""
    form = await request.form()
    text = str(form.get("minutes", ""))
    minutes = whole_number(text, max(_DURATIONS))
    if minutes not in _DURATIONS:
        raise ProblemError(422, f"minutes is {text[:20]!r}; choose one of {', '.join(map(str, _DURATIONS))}")
    with as_request_fault("form"):
        given = SilenceRequest.model_validate({"minutes": minutes, **_fields(form)})
    begin_silence(request, given)
    return redirect(request, f"{PATH}#silences")


@handling.post(f"{PATH}/silences/{{silence_id}}/end")
@audited("silences.end")
def end(request: Request, silence_id: SilenceId) -> Response:
    """End a silence and return to the page."""
    service = service_of(request)
    end_silence(service.store, silence_id, service.clock())
    return redirect(request, f"{PATH}#silences")


def _fields(form: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request that are filled in. Values of a dimension are separated by commas."""
    texts = {name: str(form.get(name, "")).strip() for name in ("series", "severity", "starts_at", "weekly")}
    found: dict[str, Any] = {name: text for name, text in texts.items() if text}
    found["comment"] = str(form.get("comment", ""))[:300]
    dimension = str(form.get("dimension", ""))
    values = [one.strip() for one in str(form.get("values", "")).split(",") if one.strip()]
    if bool(dimension) != bool(values):
        raise ProblemError(422, "choose a dimension and write its values, separated by commas; or leave out both")
    if dimension:
        found["values"] = {dimension: values}
    return found


def silences_in_words(request: Request, now: dt.datetime) -> list[SilenceWords]:
    """Return the current and future silences in words."""
    return [
        {
            "id": one.silence_id,
            "what": _what(one),
            "when": _when(one, now),
            "is_active": one.is_active(now),
            "who": one.created_by,
            "comment": one.comment,
        }
        for one in silences(service_of(request).store, now)
    ]


def _what(one: Silence) -> str:
    words = [series_name(one.series) if one.series else "all series"]
    words += [f"{one.severity} only"] if one.severity else []
    words += [f"{name.replace('_', ' ')} {' or '.join(values)}" for name, values in one.values.items()]
    return ", ".join(words)


def _when(one: Silence, now: dt.datetime) -> str:
    begins = f"from {one.starts_at:%Y-%m-%d %H:%M} UTC " if one.starts_at > now else ""
    weekly = f"{one.weekly} ({one.time_zone}) " if one.weekly else ""
    return f"{weekly}{begins}until {one.expires_at:%Y-%m-%d %H:%M} UTC"


def silence_form(request: Request) -> SilenceForm:
    """Return the choices of the form."""
    service = service_of(request)
    dimensions: Sequence[str] = service.of(PaymentsService).live.monitor.dimensions
    return {
        "durations": _DURATIONS,
        "series": [(name, series_name(name)) for name in (*ORDER, FEED)],
        "severities": (WARNING, CRITICAL),
        "dimensions": [(name, name.replace("_", " ")) for name in dimensions],
        "time_zone": service.settings.of(PaymentsSettings).payments_time_zone,
    }
