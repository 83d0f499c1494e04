"""The payments page: what is wrong now, since when, how bad, who handles it, and how reliable the detector is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

import duckdb
import pandas as pd
from fastapi import Path as PathParameter
from fastapi import Request
from starlette.responses import RedirectResponse, Response

from quintet.payments import charts
from quintet.payments import store as payment_store
from quintet.payments.detector import STATUSES
from quintet.payments.incidents import FEED, VOLUME, to_datetime
from quintet.payments.notifications import series_name
from quintet.payments.self_test import CHANNEL as SELF_TEST
from quintet.payments.service import PaymentsService
from quintet.presentation.design import Column, Figure
from quintet.state.outbox import last_messages
from quintet.warehouse.snapshot import NoSnapshotError
from quintet.web.forms import as_request_fault, whole_number
from quintet.web.pages.downloads import csv_answer
from quintet.web.pages.shell import show
from quintet.web.problems import ProblemError
from quintet.web.rendering import Filter, FilterBar, Kpi, Option, Panel, State, Table
from quintet.web.routes.payments import acknowledge_incident, all_incidents
from quintet.web.routes.payments_models import SilenceRequest
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
_MOST_MESSAGES = 30
_SILENCES = {60: "1 hour", 240: "4 hours", 1_440: "1 day", 10_080: "1 week"}
_LATE_MINUTES = 5
_ORDER = (VOLUME, *STATUSES)
_MESSAGE_COLUMNS = (
    Column("written", "Created at (UTC)"),
    Column("channel", "Channel"),
    Column("title", "Message"),
    Column("state", "State"),
    Column("attempts", "Attempts", "count"),
    Column("sent", "Sent at (UTC)"),
    Column("error", "Last error"),
)


@dataclass(frozen=True)
class SeriesState:
    """The current state of a series, in words."""

    series: str
    name: str
    state: State
    words: str
    since: str = ""


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
        figures = {
            name: Panel(figure, f"{PATH}/figures/{name}.csv?{urlencode({'day': chosen, 'file': source_file or ''})}")
            for name, figure in ({} if wants_words else _figures(cursor, points, incidents, source_file)).items()
        }
        states = (
            _states(points, rows, service.of(PaymentsService).live.monitor.unknown_statuses, now)
            if chosen == LIVE
            else []
        )
        messages = _messages(service)
        context: Mapping[str, Any] = {
            "filters": FilterBar(PATH, [_day_filter(days, chosen), _file_filter(files, source_file)]),
            "announcement": f"{len(rows):,} incidents",
            "is_live": chosen == LIVE,
            "day": chosen,
            "states": states,
            "summary": _summary(states, points, now) if chosen == LIVE else _summary_of_day(chosen, rows),
            "kpis": _key_figures(points, rows),
            "series": [name for name in figures if name.startswith("series-")],
            "series_count": len(_series_of(points)),
            "figures": figures,
            "incidents": [row | {"name": series_name(row["series"])} for row in rows[:_MOST_INCIDENTS]],
            "silences": [
                {"id": one.silence_id, "what": series_name(one.series) if one.series else "all series",
                 "until": f"{one.expires_at:%Y-%m-%d %H:%M} UTC", "who": one.created_by, "comment": one.comment}
                for one in payment_store.silences(service.store, now)
            ],
            "silence_for": _SILENCES,
            "silence_series": [(name, series_name(name)) for name in (*_ORDER, FEED)],
            "can_handle": request.state.key.allows("payments:handle"),
            "checkout_sentences": _checkout_sentences(cursor, source_file),
            "messages": Table(
                messages, _MESSAGE_COLUMNS, "Messages to the team", len(messages),
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
        return csv_answer(name, figures[name].table, figures[name].columns)


@handling.post(f"{PATH}/incidents/{{incident_id}}/acknowledge")
def acknowledge(request: Request, incident_id: str) -> Response:
    """Acknowledge an incident and return to the page."""
    acknowledge_incident(request, incident_id)
    return RedirectResponse(f"{PATH}#incidents", 303)


@handling.post(f"{PATH}/silences")
async def silence(request: Request) -> Response:
    """Silence a series for a while and return to the page."""
    service = service_of(request)
    form = await request.form()
    text, comment = str(form.get("minutes", "")), str(form.get("comment", ""))[:300]
    minutes = whole_number(text, max(_SILENCES))
    if minutes not in _SILENCES:
        raise ProblemError(422, f"minutes is {text[:20]!r}; choose one of {', '.join(map(str, _SILENCES))}")
    with as_request_fault("form"):
        given = SilenceRequest(series=str(form.get("series", "")) or None, minutes=minutes, comment=comment)
    now = service.clock()
    until = now + dt.timedelta(minutes=given.minutes)
    payment_store.add_silence(service.store, given.series, now, until, request.state.key.name, given.comment)
    return RedirectResponse(f"{PATH}#silences", 303)


@handling.post(f"{PATH}/silences/{{silence_id}}/end")
def end_silence(request: Request, silence_id: Annotated[int, PathParameter(ge=1, le=2**53)]) -> Response:
    """End a silence and return to the page."""
    service = service_of(request)
    payment_store.end_silence(service.store, silence_id, service.clock())
    return RedirectResponse(f"{PATH}#silences", 303)


# -- selection ---------------------------------------------------------------------------------------------------------


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
) -> dict[str, Figure]:
    figures = [charts.series_figure(points, incidents, name) for name in _series_of(points)]
    if cursor is not None:
        hours = cursor.execute(
            "select comparison.*, expected, p_value, is_anomalous, reason from marts.fct_checkout_comparison as "
            "comparison join marts.fct_checkout_anomalies using (source_file, hour) where source_file = ?",
            [source_file],
        ).df()
        figures.append(charts.checkout_figure(hours, source_file or ""))
        figures.append(charts.evaluation_figure(cursor.execute("from marts.fct_alert_evaluation").df()))
    return {figure.name: figure for figure in figures}


def _series_of(points: pd.DataFrame) -> list[str]:
    """Return the series that have a chart, in the order of the page."""
    known = [name for name in points["series"].unique() if name != FEED]
    return sorted(known, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))


def _checkout_sentences(cursor: duckdb.DuckDBPyConnection | None, source_file: str | None) -> list[tuple[bool, str]]:
    if cursor is None or source_file is None:
        return []
    found: list[tuple[bool, str]] = cursor.execute(
        "select is_anomalous, reason from marts.fct_checkout_anomalies "
        "where source_file = ? and reason is not null order by hour",
        [source_file],
    ).fetchall()
    return found


# -- in words ----------------------------------------------------------------------------------------------------------


def _states(
    points: pd.DataFrame, rows: Sequence[Mapping[str, Any]], unknown: Sequence[str], now: dt.datetime
) -> list[SeriesState]:
    """Describe each series in words, the worst first."""
    firing = {row["series"]: row for row in rows if row["state"] == "firing"}
    present = [name for name in (*_ORDER, FEED, *unknown) if name in set(points["series"])]
    last = {series: group.iloc[-1] for series, group in points.groupby("series")}
    states = []
    for series in present:
        row = firing.get(series)
        if row is not None:
            state: State = "critical" if row["severity"] == "critical" else "warning"
            since = f"since {row['started_at'][11:16]} UTC"
            states.append(SeriesState(series, series_name(series), state, row["reason"], since))
        elif series == FEED:
            newest = to_datetime(int(last[series]["minute"]))
            behind = int((now.replace(tzinfo=None) - newest).total_seconds() // 60)
            words = f"last minute {newest:%Y-%m-%d %H:%M} UTC"
            late = behind > _LATE_MINUTES
            words += f", {behind:,} minutes behind the clock" if late else ""
            states.append(SeriesState(series, "feed", "warning" if late else "good", words))
        else:
            word = "usual, an unknown status" if series in unknown else "usual"
            states.append(SeriesState(series, series_name(series), "good", word))
    return sorted(states, key=lambda one: ("critical", "warning", "good", "none").index(one.state))


def _summary(states: Sequence[SeriesState], points: pd.DataFrame, now: dt.datetime) -> str:
    if points.empty:
        return (
            "No transactions have been sent to the service yet. Send them to `/v1/payments/transactions`, or send a "
            "file with `make replay`."
        )
    wrong = [one.name for one in states if one.state == "critical"]
    worth = [one.name for one in states if one.state == "warning" and one.series != FEED]
    if wrong:
        return f"Something is wrong now: {', '.join(wrong)}."
    if worth:
        return f"Worth a look: {', '.join(worth)}."
    newest = points["minute_at"].max()
    if now.replace(tzinfo=None) - newest > dt.timedelta(minutes=_LATE_MINUTES):
        return f"All was usual at {newest:%Y-%m-%d %H:%M} UTC; nothing has arrived since."
    return "All is usual."


def _key_figures(points: pd.DataFrame, rows: Sequence[Mapping[str, Any]]) -> list[Kpi]:
    """Return the open and shown incidents, and the last hour's approvals and share denied against the hour before."""
    is_open = [row for row in rows if row["state"] == "firing"]
    critical = sum(row["severity"] == "critical" for row in is_open)
    counts = points.pivot_table(index="minute_at", columns="series", values="minute_count", aggfunc="sum")
    approved, denied = (
        counts[name] if name in counts else pd.Series(0.0, index=counts.index) for name in (VOLUME, "denied")
    )
    end = pd.Timestamp(points["minute_at"].max()) if len(points) else None
    spans = []
    if end is not None:
        age = (end - points["minute_at"].drop_duplicates()).dt.total_seconds() / 3_600
        spans = [points["minute_at"].loc[age[(age >= since) & (age < since + 1)].index] for since in (0, 1)]
    sums = [(float(approved.reindex(span).sum()), float(denied.reindex(span).sum())) for span in spans]
    shares = [bad / (good + bad) if good + bad else None for good, bad in sums]
    per_quarter = approved.resample("15min").sum() if len(counts) else approved
    trend = per_quarter.tail(12).tolist()
    last = f"until {end:%H:%M} UTC" if end is not None else "no minute yet"
    has_both = len(sums) > 1 and sums[1][0] > 0
    return [
        Kpi("Open incidents", len(is_open), "count", basis=f"{critical} critical"),
        Kpi("Incidents shown", len(rows), "count", basis=f"in {len({row['group_id'] for row in rows})} groups"),
        Kpi(
            "Approved in the last hour",
            sums[0][0] if sums else None,
            "count",
            change=sums[0][0] / sums[1][0] - 1 if has_both else None,
            change_against="against the hour before" if has_both else "",
            trend=trend,
            basis=last,
        ),
        Kpi(
            "Denied in the last hour",
            shares[0] if shares else None,
            "percent",
            change=shares[0] - shares[1] if has_both and shares[0] is not None and shares[1] is not None else None,
            change_against="against the hour before" if has_both else "",
            change_kind="points",
            better=False,
            basis="of those approved or denied",
        ),
    ]


def _summary_of_day(day: str, rows: Sequence[Mapping[str, Any]]) -> str:
    critical = sum(row["severity"] == "critical" for row in rows)
    if not rows:
        return f"{day}: no incident."
    return f"{day}: {len(rows):,} incident{'' if len(rows) == 1 else 's'}, {critical:,} of them critical."


def _messages(service: Any) -> pd.DataFrame:
    rows = [
        {
            "written": f"{one.created_at:%Y-%m-%d %H:%M:%S}",
            "channel": one.channel,
            "title": one.body.get("title", ""),
            "state": one.state,
            "attempts": one.attempts,
            "sent": f"{one.sent_at:%Y-%m-%d %H:%M:%S}" if one.sent_at else None,
            "error": one.error,
        }
        for one in last_messages(service.store, _MOST_MESSAGES, left_out=SELF_TEST)
    ]
    return pd.DataFrame(rows, columns=[column.name for column in _MESSAGE_COLUMNS])
