"""The forms of scheduled reports, on the page of reports."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.responses import Response

from quintet.insurance.report_schedules import Schedule
from quintet.web.addresses import redirect
from quintet.web.audit import audited
from quintet.web.contexts import ScheduledReport
from quintet.web.forms import as_request_fault
from quintet.web.pages.downloads import with_query
from quintet.web.report_sender import SCOPE
from quintet.web.routes.report_schedules import ScheduleId, ScheduleRequest, end, schedule
from quintet.web.row_access import restricted_by
from quintet.web.security import guarded_router

router = guarded_router(SCOPE, include_in_schema=False)
ROUTERS = (router,)

PAGE = "/reports"
PATH = "/reports/schedules"

_FIELDS = ("recipient", "format", "every", "day", "at", "zone")


@router.post(PATH)
@audited("reports.schedule")
@restricted_by("agency")
async def schedule_report(request: Request) -> Response:
    """Schedule the report with the filters in the address, and return to the page."""
    form = await request.form()
    filters: dict[str, Any] = {name: request.query_params.getlist(name) for name in request.query_params}
    filters |= {name: values[-1] for name, values in filters.items() if name in ("year_from", "year_to")}
    given = {name: str(form[name]).strip() for name in _FIELDS if form.get(name)}
    if given.get("every") == "day":
        given.pop("day", None)
    with as_request_fault("form"):
        wanted = ScheduleRequest.model_validate_strings({**given, "filters": filters})
    schedule(request, wanted)
    return redirect(request, f"{with_query(PAGE, list(request.query_params.multi_items()))}#scheduled")


@router.post(f"{PATH}/{{schedule_id}}/end")
@audited("reports.end")
@restricted_by("agency")
def end_report(request: Request, schedule_id: ScheduleId) -> Response:
    """End a schedule and return to the page."""
    end(request, schedule_id)
    return redirect(request, f"{PAGE}#scheduled")


def in_words(one: Schedule) -> ScheduledReport:
    """Return a schedule as the page shows it."""
    wanted = one.request
    filters = "; ".join(
        f"{name} {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in wanted.filters.items()
    )
    return {
        "id": one.schedule_id,
        "what": f"{wanted.report.replace('_', ' ')}, {filters or 'everything'}, {wanted.format}",
        "recipient": wanted.recipient,
        "timing": str(wanted.timing),
        "next_at": f"{one.next_at:%Y-%m-%d %H:%M} UTC",
    }
