"""The report runner: choose the years, preview and download the report, and see earlier runs."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

import pandas as pd
from fastapi import Request
from starlette.responses import Response

from quintet.domains import DOMAINS
from quintet.insurance.premium_report import WORKBOOK_ROWS, premium_report
from quintet.insurance.report_runs import ReportRun, last_report_runs
from quintet.presentation.design import Column
from quintet.presentation.wording import counted
from quintet.web.contexts import ReportsContext
from quintet.web.pages.downloads import report_file, with_query
from quintet.web.pages.insurance import filter_fields, filters_of, query_of
from quintet.web.pages.report_schedules import PATH as SCHEDULES
from quintet.web.pages.report_schedules import in_words
from quintet.web.pages.shell import show_snapshot
from quintet.web.problems import ProblemError
from quintet.web.rendering import FilterBar, Kpi, Option, Table
from quintet.web.report_sender import SCOPE
from quintet.web.routes.report_schedules import own_schedules
from quintet.web.row_access import restricted_by
from quintet.web.security import guarded_router
from quintet.web.service import service_of

router = guarded_router("insurance:read", include_in_schema=False)
written = guarded_router(None, include_in_schema=False)
ROUTERS = (router, written)

PATH = "/reports"

_MOST_RUNS = 50
_FILE_COLUMNS = (
    Column("business", "Business"),
    Column("name", "Report"),
    Column("description", "What it holds", "sentence"),
    Column("written_at", "Written at (UTC)"),
)
_COLUMNS = (
    Column("agency_id", "Agency", "identifier"),
    Column("prod_line", "Line"),
    Column("written_premium", "Written premium", "money", "USD"),
    Column("new_business_premium", "New business", "money", "USD"),
    Column("growth_rate", "Growth", "change"),
    Column("incurred_losses", "Incurred losses", "money", "USD"),
    Column("loss_ratio", "Loss ratio", "percent"),
    Column("retention_ratio", "Retention", "percent"),
    Column("policies_at_end", "Policies in force", "count"),
)
_HISTORY_COLUMNS = (
    Column("written_at", "Run at (UTC)"),
    Column("written_by", "By"),
    Column("parameters", "Parameters"),
    Column("format", "Format"),
    Column("rows", "Rows", "count"),
    Column("total", "Written premium", "money", "USD"),
    Column("snapshot", "Snapshot"),
)


@router.get(PATH)
@restricted_by("agency")
def reports(request: Request) -> Response:
    """Run the premium report and show its earlier runs."""
    key = request.state.key
    runs = last_report_runs(service_of(request).store, _MOST_RUNS, key.key_id if key.binding else None)
    files = _written(request)
    can_schedule = key.allows(SCOPE) and service_of(request).can_send_mail
    scheduled = [in_words(one) for one in own_schedules(request)] if key.allows(SCOPE) else []

    def make(snapshot: Any) -> ReportsContext:
        filters, problem = filters_of(request.query_params)
        report = premium_report(
            snapshot.cursor, filters, snapshot_id=snapshot.snapshot_id, published_at=snapshot.published_at
        )
        query = query_of(filters)
        formats = {"xlsx": "workbook", "csv": "CSV"} if len(report.frame) <= WORKBOOK_ROWS else {"csv": "CSV"}
        return {
            "announcement": f"{counted(len(report.frame), 'row')} of agency and product line",
            "filters": FilterBar(PATH, list(filter_fields(snapshot.cursor, filters)), problem),
            "preview": Table(
                report.frame, _COLUMNS, "Report preview", len(report.frame), nothing="No row matches these filters."
            ),
            "totals": _totals(report.total),
            "downloads": [
                Option(f"/v1/insurance/reports/premium?{urlencode([*query, ('format', kind)])}", label)
                for kind, label in formats.items()
            ],
            "problem": problem,
            "written": None
            if key.binding
            else Table(
                files,
                _FILE_COLUMNS,
                "Written by each run",
                len(files),
                link=("name", f"{PATH}/files/{{name}}.pdf"),
                nothing="None yet; `make run` writes them.",
            ),
            "scheduled": scheduled,
            "can_schedule": can_schedule,
            "scheduling": with_query(SCHEDULES, query),
            "history": Table(_history(runs), _HISTORY_COLUMNS, "Earlier reports", len(runs), nothing="None yet."),
        }

    varying = repr((runs, scheduled, can_schedule, files.to_dict("records")))
    return show_snapshot(request, "reports.html", "Reports", make, varying)


@written.get(f"{PATH}/files/{{name}}")
def written_report(request: Request, name: str) -> Response:
    """Return a PDF that the last run wrote. Raises ProblemError 403 and 404."""
    owners = {f"{one.name}.pdf": domain.name for domain in DOMAINS for one in domain.reports}
    if name in owners and not request.state.key.allows(f"{owners[name]}:read"):
        raise ProblemError(403, f"the key lacks the scope {owners[name]}:read")
    return report_file(service_of(request).settings.served / "reports", name, owners)


def _written(request: Request) -> pd.DataFrame:
    """Return the PDFs that the key may read and that there are; they are of the whole, so a bound key has none."""
    folder, key = service_of(request).settings.served / "reports", request.state.key
    readable = [domain for domain in DOMAINS if key.binding is None and key.allows(f"{domain.name}:read")]
    rows = [
        {
            "business": domain.title,
            "name": one.name,
            "description": one.description,
            "written_at": dt.datetime.fromtimestamp((folder / f"{one.name}.pdf").stat().st_mtime, dt.UTC),
        }
        for domain in readable
        for one in domain.reports
        if (folder / f"{one.name}.pdf").is_file()
    ]
    frame = pd.DataFrame(rows, columns=[column.name for column in _FILE_COLUMNS])
    frame["written_at"] = [f"{at:%Y-%m-%d %H:%M}" for at in frame["written_at"]]
    return frame


def _totals(total: pd.DataFrame) -> list[Kpi]:
    row = total.astype(object).where(total.notna(), None).iloc[0]
    return [
        Kpi("Written premium", row["written_premium"], "money", "USD"),
        Kpi("New business", row["new_business_premium"], "money", "USD"),
        Kpi("Incurred losses", row["incurred_losses"], "money", "USD"),
        Kpi("Loss ratio", row["loss_ratio"], "percent"),
        Kpi("Retention", row["retention_ratio"], "percent"),
    ]


def _history(runs: list[ReportRun]) -> pd.DataFrame:
    rows = [
        {
            "written_at": f"{run.written_at:%Y-%m-%d %H:%M}",
            "written_by": run.written_by,
            "parameters": "; ".join(map(_in_words, run.parameters.items())) or "everything",
            "format": run.format,
            "rows": run.rows,
            "total": float(run.total_written_premium),
            "snapshot": run.snapshot,
        }
        for run in runs
    ]
    return pd.DataFrame(rows, columns=[column.name for column in _HISTORY_COLUMNS])


def _in_words(parameter: tuple[str, Any]) -> str:
    name, value = parameter
    return f"{name} {', '.join(map(str, value)) if isinstance(value, list) else value}"
