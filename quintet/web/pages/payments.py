"""The payments page: what is wrong now, since when, how bad, who handles it, and how reliable the detector is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any
from urllib.parse import urlencode

import duckdb
import pandas as pd
from fastapi import Request
from markupsafe import Markup
from starlette.responses import Response

from quintet.payments import charts
from quintet.payments import store as payment_store
from quintet.payments.incidents import FEED, series_name
from quintet.payments.service import PaymentsService
from quintet.presentation.design import Column, Figure
from quintet.presentation.wording import counted
from quintet.warehouse.snapshot import NoSnapshotError
from quintet.web.addresses import prefix_of, redirect
from quintet.web.audit import audited
from quintet.web.contexts import PaymentsContext
from quintet.web.pages.downloads import csv_answer
from quintet.web.pages.payments_silences import silence_form, silences_in_words
from quintet.web.pages.payments_values import value_filters, values_table, with_links
from quintet.web.pages.payments_words import (
    MESSAGE_COLUMNS,
    ORDER,
    key_figures,
    last_messages_frame,
    series_states,
    summary_of_day,
    summary_of_now,
)
from quintet.web.pages.shell import show
from quintet.web.problems import ProblemError
from quintet.web.rendering import Filter, FilterBar, Option, Panel, Table, render_figure, static_version
from quintet.web.routes.payments import acknowledge_incident, all_incidents
from quintet.web.routes.payments_models import IncidentId
from quintet.web.security import guarded_router
from quintet.web.service import service_of
from quintet.web.snapshots import Snapshot

router = guarded_router("payments:read", include_in_schema=False)
handling = guarded_router("payments:handle", include_in_schema=False)
ROUTERS = (router, handling)
PATH = "/payments"
LIVE = "live"
_SHOWN_MINUTES = 180
_MOST_INCIDENTS = 50
_MOST_MINUTES = 30
"""The most rows of a figure's table on the page."""
_SPANS = {"checkout": 8, "evaluation": 12}
"""The figures that are not of a series, with their columns of twelve."""


@router.get(PATH)
def payments(request: Request) -> Response:
    """Show whether something is wrong now, since when, and how bad."""
    service = service_of(request)
    now = service.clock()
    wants_words = request.query_params.get("part") == "words"  # what the script requests while the page is open
    with ExitStack() as stack:
        snapshot = _snapshot(stack, service)
        cursor = snapshot.cursor if snapshot else None
        days = _days(cursor)
        chosen = _chosen(request, service, days)
        rows, _ = all_incidents(request, "live" if chosen == LIVE else "batch")
        points = _live_points(service) if chosen == LIVE else _points_of(cursor, chosen)
        if chosen != LIVE:
            rows = [row for row in rows if row["started_at"][:10] <= chosen <= (row["ended_at"] or "9")[:10]]
        incidents = _incident_frame(rows)
        files, source_file = _files(request, cursor)
        query = urlencode({"day": chosen})
        makers = {} if wants_words else _figures(cursor, points, incidents, source_file)
        figures = {name: _block(request, snapshot, name, make, chosen, source_file) for name, make in makers.items()}
        states = (
            series_states(points, rows, service.of(PaymentsService).live.monitor.unknown_statuses, now)
            if chosen == LIVE
            else []
        )
        messages = last_messages_frame(service)
        values, values_note = values_table(request) if chosen == LIVE else (None, "")
        context: PaymentsContext = {
            "filters": FilterBar(
                PATH, [_day_filter(days, chosen), _file_filter(files, source_file), *value_filters(request)]
            ),
            "values": values,
            "values_note": values_note,
            "announcement": counted(len(rows), "incident"),
            "is_live": chosen == LIVE,
            "day": chosen,
            "states": states,
            "summary": summary_of_now(states, points, now) if chosen == LIVE else summary_of_day(chosen, rows),
            "kpis": key_figures(points, rows),
            "series": [name for name in figures if name.startswith("series-")],
            "series_count": len(_series_of(points)),
            "figures": figures,
            "incidents": [
                row | {"name": series_name(row["series"]), "explained": with_links(row)}
                for row in rows[:_MOST_INCIDENTS]
            ],
            "silences": silences_in_words(request, now),
            "silence_form": silence_form(request),
            "can_handle": request.state.key.allows("payments:handle"),
            "checkout_sentences": _checkout_sentences(cursor, source_file),
            "messages": Table(
                messages, MESSAGE_COLUMNS, "Messages to the team", len(messages),
                nothing="No notification yet. Set `QUINTET_TEAMS_WEBHOOK_URL` or another channel to get them.",
            ),
            "incidents_url": f"{PATH}/figures/incidents.csv?{query}",
        }  # fmt: skip
        return show(request, "payments.html", "Payments", context, snapshot)


@router.get(f"{PATH}/figures/{{name}}.csv")
def figure_csv(request: Request, name: str) -> Response:
    """Return the table behind a figure, with all rows."""
    service = service_of(request)
    with ExitStack() as stack:
        snapshot = _snapshot(stack, service)
        cursor = snapshot.cursor if snapshot else None
        chosen = _chosen(request, service, _days(cursor))
        rows, _ = all_incidents(request, "live" if chosen == LIVE else "batch")
        if name == "incidents":
            frame = pd.DataFrame(rows)
            return csv_answer(name, frame, [Column(str(column), str(column)) for column in frame])
        points = _live_points(service) if chosen == LIVE else _points_of(cursor, chosen)
        figures = _figures(cursor, points, _incident_frame(rows), _files(request, cursor)[1])
        if name not in figures:
            raise ProblemError(404, f"there is no figure {name}; there are {', '.join(figures)}")
        figure = figures[name]()
        return csv_answer(name, figure.table, figure.columns)


@handling.post(f"{PATH}/incidents/{{incident_id}}/acknowledge")
@audited("incidents.acknowledge")
def acknowledge(request: Request, incident_id: IncidentId) -> Response:
    """Acknowledge an incident and return to the page."""
    acknowledge_incident(request, incident_id)
    return redirect(request, f"{PATH}#incidents")


def _snapshot(stack: ExitStack, service: Any) -> Snapshot | None:
    """Open the snapshot on the stack; None if none is published, since live payments need none."""
    try:
        snapshot: Snapshot = stack.enter_context(service.snapshots.read())
        snapshot.cursor.execute("select 1 from marts.fct_payment_points limit 1").fetchall()
    except (NoSnapshotError, duckdb.CatalogException):
        return None
    return snapshot


def _days(cursor: duckdb.DuckDBPyConnection | None) -> list[str]:
    if cursor is None:
        return []
    rows = cursor.execute("select distinct day::varchar from marts.fct_payment_minutes order by 1 desc").fetchall()
    return [day for (day,) in rows]


def _chosen(request: Request, service: Any, days: Sequence[str]) -> str:
    """Return `live` or a day: the requested one if it exists, else `live` if there are live payments."""
    asked = request.query_params.get("day", "")
    if asked == LIVE or asked in days:
        return asked
    has_live = payment_store.last_point_minute(service.store) is not None
    return LIVE if has_live or not days else days[0]


def _day_filter(days: Sequence[str], chosen: str) -> Filter:
    options = [Option(LIVE, "Live"), *(Option(day, day) for day in days)]
    return Filter("day", "Transactions", "select", options, [chosen], "Latest")


def _file_filter(files: Sequence[str], chosen: str | None) -> Filter:
    return Filter("file", "Checkout file", "select", [Option(name, name) for name in files], [chosen or ""], "Last")


def _files(request: Request, cursor: duckdb.DuckDBPyConnection | None) -> tuple[list[str], str | None]:
    """Return the checkout files, the last one first, and the one to show."""
    if cursor is None:
        return [], None
    rows = cursor.execute(
        "select source_file from marts.fct_checkout_hours group by source_file "
        "order by max(file_date) desc nulls last, max(file_number) desc nulls last, source_file desc"
    ).fetchall()
    files = [name for (name,) in rows]
    asked = request.query_params.get("file")
    return files, asked if asked in files else files[0] if files else None


def _live_points(service: Any) -> pd.DataFrame:
    last = payment_store.last_point_minute(service.store)
    rows = [] if last is None else payment_store.points(service.store, last - _SHOWN_MINUTES + 1, last + 1)
    frame = pd.DataFrame(rows, columns=list(payment_store.POINT_FIELDS))
    frame["minute_at"] = pd.to_datetime(frame["minute"].astype("int64") * 60, unit="s")
    frame["is_anomalous"] = frame["is_anomalous"].astype(bool)
    return frame.assign(reason=None)


def _points_of(cursor: duckdb.DuckDBPyConnection | None, day: str) -> pd.DataFrame:
    assert cursor is not None
    return cursor.execute("select * from marts.fct_payment_points where minute_at::date = ?::date", [day]).df()


def _incident_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    columns = ["series", "state", "started_at", "ended_at"]
    frame = pd.DataFrame([{name: row[name] for name in columns} for row in rows], columns=columns)
    for name in ("started_at", "ended_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True).dt.tz_localize(None)
    return frame


def _figures(
    cursor: duckdb.DuckDBPyConnection | None, points: pd.DataFrame, incidents: pd.DataFrame, source_file: str | None
) -> dict[str, Callable[[], Figure]]:
    """Return a function that draws each figure, by the figure's name."""
    makers: dict[str, Callable[[], Figure]] = {
        charts.figure_name(series): partial(charts.series_figure, points, incidents, series)
        for series in _series_of(points)
    }
    if cursor is not None:
        makers |= {
            "checkout": lambda: charts.checkout_figure(_checkout_hours(cursor, source_file), source_file or ""),
            "evaluation": lambda: charts.evaluation_figure(cursor.execute("from marts.fct_alert_evaluation").df()),
        }
    return makers


def _checkout_hours(cursor: duckdb.DuckDBPyConnection, source_file: str | None) -> pd.DataFrame:
    return cursor.execute(
        "select comparison.*, expected, p_value, is_anomalous, reason from marts.fct_checkout_comparison as "
        "comparison join marts.fct_checkout_anomalies using (source_file, hour) where source_file = ?",
        [source_file],
    ).df()


def _block(
    request: Request, snapshot: Snapshot | None, name: str, make: Callable[[], Figure], chosen: str, file: str | None
) -> Markup:
    """Return the HTML of a figure: from the cache, unless it shows live minutes."""
    address = f"{PATH}/figures/{name}.csv?{urlencode({'day': chosen, 'file': file or ''})}"
    prefix = prefix_of(request)

    def block() -> bytes:
        return render_figure(Panel(make(), address, most_rows=_MOST_MINUTES), _SPANS.get(name, 6), prefix).encode()

    if snapshot is None or (chosen == LIVE and name not in _SPANS):
        return Markup(block().decode())
    answers = service_of(request).answers
    return Markup(
        answers.cached(
            answers.tag(request, snapshot, static_version(), name, chosen, file or "", prefix), block
        ).decode()
    )


def _series_of(points: pd.DataFrame) -> list[str]:
    """Return the series that have a chart, in the order of the page."""
    known = [name for name in points["series"].unique() if name != FEED]
    return sorted(known, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


def _checkout_sentences(cursor: duckdb.DuckDBPyConnection | None, source_file: str | None) -> list[tuple[bool, str]]:
    if cursor is None or source_file is None:
        return []
    found: list[tuple[bool, str]] = cursor.execute(
        "select is_anomalous, reason from marts.fct_checkout_anomalies "
        "where source_file = ? and reason is not null order by hour",
        [source_file],
    ).fetchall()
    return found
