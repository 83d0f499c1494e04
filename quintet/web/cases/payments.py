"""The evidence of an incident: its series around it as a chart, and who acknowledged it."""

from __future__ import annotations

import datetime as dt

import duckdb
import pandas as pd
from fastapi import Request

from quintet.cases.store import Case
from quintet.payments import charts
from quintet.payments import store as payment_store
from quintet.payments.incidents import series_name, to_minute
from quintet.web.cases.evidence import Evidence
from quintet.web.rendering import Panel
from quintet.web.routes.payments import all_incidents
from quintet.web.service import service_of

_AROUND = dt.timedelta(hours=1)
_LONGEST = dt.timedelta(hours=24)


def evidence(request: Request, case: Case, marts: duckdb.DuckDBPyConnection | None) -> Evidence:
    """Return the times of an incident, and its series from an hour before to an hour after it."""
    rows, _ = all_incidents(request)
    found = [row for row in rows if row["incident_id"] == case.subject_id]
    if not found:
        return Evidence(problem=f"The incident {case.subject_id} is stored no more.")
    (row,) = found
    acknowledged = f"{row['acknowledged_by']}, {_words(row['acknowledged_at'])}" if row["acknowledged_at"] else "no"
    facts = {
        "Series": series_name(row["series"]),
        "Severity": f"{row['severity']}, {row['state']}",
        "Since": _words(row["started_at"]),
        "Detected": _words(row["detected_at"]),
        "Until": _words(row["ended_at"]) if row["ended_at"] else "ongoing",
        "Acknowledged": acknowledged,
    }
    start = dt.datetime.fromisoformat(row["started_at"]).replace(tzinfo=None)
    end = dt.datetime.fromisoformat(row["ended_at"]).replace(tzinfo=None) if row["ended_at"] else start + _LONGEST
    since, until = start - _AROUND, min(end, start + _LONGEST) + _AROUND
    points = _points(request, row, marts, since, until)
    incidents = pd.DataFrame(found, columns=["series", "state", "started_at", "ended_at"])
    for name in ("started_at", "ended_at"):
        incidents[name] = pd.to_datetime(incidents[name], utc=True).dt.tz_localize(None)
    figure = charts.series_figure(points, incidents, row["series"])
    return Evidence(facts, (), [Panel(figure, most_rows=30)] if len(points) else [])


def _points(
    request: Request,
    row: dict[str, object],
    marts: duckdb.DuckDBPyConnection | None,
    since: dt.datetime,
    until: dt.datetime,
) -> pd.DataFrame:
    if row["source"] == payment_store.BATCH and marts is not None:
        return marts.execute(
            "select * from marts.fct_payment_points where series = ? and minute_at >= ? and minute_at < ?",
            [row["series"], since, until],
        ).df()
    rows = payment_store.points(service_of(request).store, to_minute(since), to_minute(until), [str(row["series"])])
    frame = pd.DataFrame(rows, columns=list(payment_store.POINT_FIELDS))
    frame["minute_at"] = pd.to_datetime(frame["minute"].astype("int64") * 60, unit="s")
    frame["is_anomalous"] = frame["is_anomalous"].astype(bool)
    return frame.assign(reason=None)


def _words(text: str) -> str:
    return f"{text[:16].replace('T', ' ')} UTC"
