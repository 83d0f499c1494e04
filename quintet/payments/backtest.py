"""Run a detector over stored minutes: for the batch, backtests and the evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

import pandas as pd

from quintet.payments.detector import Detector
from quintet.payments.incidents import Incident, Point, severity_by_share
from quintet.payments.opening_hours import LEARNED, OpeningHours
from quintet.rules.evaluate import Evaluator

POINT_COLUMNS = [
    *("series", "minute_at", "score", "expected", "observed", "window_minutes", "minute_count", "lower", "upper"),
    *("rule", "is_anomalous", "reason", "incident_id"),
]
INCIDENT_COLUMNS = [
    *(
        "incident_id",
        "series",
        "started_at",
        "detected_at",
        "ended_at",
        "severity",
        "peak_score",
        "expected",
        "observed",
    ),
    *("rule", "window_minutes", "group_id", "fingerprint", "reason"),
]


def minutes_in_order(minutes: pd.DataFrame) -> Iterator[tuple[datetime, dict[str, int], bool]]:
    """Yield each minute in order, as the arguments of `Detector.observe`.

    minutes: minute_at, status, count, is_observed, in any order; the last row of a minute and status is used.
    """
    latest = minutes.drop_duplicates(["minute_at", "status"], keep="last")
    is_observed = latest.groupby("minute_at")["is_observed"].any()
    counts = latest.pivot(index="minute_at", columns="status", values="count").reindex(is_observed.index)
    statuses = counts.columns.tolist()
    # A status without a row in the minute has a count of zero there.
    columns = [counts[status].fillna(0).astype("int64").tolist() for status in statuses]
    times = pd.DatetimeIndex(counts.index).to_pydatetime().tolist()
    for at, observed, *values in zip(times, is_observed.tolist(), *columns, strict=True):
        # A zero starts no series: a status has one from its first transaction on, whatever other days hold.
        yield at, {status: count for status, count in zip(statuses, values, strict=True) if count}, observed


def detect_batch(
    minutes: pd.DataFrame,
    with_points: bool = True,
    hours: OpeningHours = LEARNED,
    point_rules: Evaluator | None = None,
    severity_of: Callable[[Point], str] = severity_by_share,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run an untrained detector over all minutes in order; return points and incidents.

    minutes: as `marts.fct_payment_minutes` (minute_at, status, count, is_observed). Points: `POINT_COLUMNS`, a row per
    series and minute, none for a status before its first row or in a minute without rows; incident_id where the series
    was pending or firing. Incidents: `INCIDENT_COLUMNS`, those that fired, the earliest first; ended_at (exclusive) is
    null while an incident lasts.
    point_rules: the rules that people have set. severity_of: returns the severity of an anomalous point.
    Raises ValueError for a count below zero or above 10**9.
    """
    detector = Detector(hours, point_rules, severity_of)
    points: list[Point] = []
    incidents: dict[str, Incident] = {}
    for at, counts, is_observed in minutes_in_order(minutes):
        step = detector.observe(at, counts, is_observed)
        if with_points:
            points += step.points
        incidents |= {incident.incident_id: incident for incident in step.incidents}
    incident_table = incident_frame(list(incidents.values()))
    return point_frame(points, incident_table), incident_table


def point_frame(points: list[Point], incidents: pd.DataFrame) -> pd.DataFrame:
    """Return points as `POINT_COLUMNS`; incident_id names the incident of `incidents` that contains them, else null."""
    frame = pd.DataFrame(points, columns=list(Point._fields))
    frame["minute_at"] = frame["minute"].to_numpy("int64").astype("datetime64[m]").astype("datetime64[us]")
    frame["reason"] = [point.reason if point.is_anomalous else None for point in points]
    frame["incident_id"] = None
    for series, begun, ended, incident_id in incidents[["series", "started_at", "ended_at", "incident_id"]].itertuples(
        index=False
    ):  # a few incidents
        inside = (frame["series"] == series) & (frame["minute_at"] >= begun)
        if pd.notna(ended):
            inside &= frame["minute_at"] < ended
        frame.loc[inside, "incident_id"] = incident_id
    return frame[POINT_COLUMNS]


def incident_frame(incidents: list[Incident]) -> pd.DataFrame:
    """Return incidents as `INCIDENT_COLUMNS`, by start and series."""
    rows = [
        (
            *(one.incident_id, one.series, one.started_at, one.detected_at, one.ended_at, one.severity),
            *(one.peak_score, one.expected, one.observed, one.rule, one.window_minutes, one.group_id),
            *(one.fingerprint, one.reason),
        )
        for one in incidents
    ]
    frame = pd.DataFrame(rows, columns=INCIDENT_COLUMNS)
    for column in ("started_at", "detected_at", "ended_at"):
        frame[column] = pd.to_datetime(frame[column])
    return frame.sort_values(["started_at", "series"], ignore_index=True)
