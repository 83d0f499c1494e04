"""Explain the incidents of files: the values of dimensions in which their excess is concentrated."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Sequence

import duckdb
import pandas as pd

from quintet.payments.dimensions import clean_value
from quintet.payments.explanation import explain
from quintet.payments.explanation_values import Explained
from quintet.payments.incidents import APPROVED, FEED, VOLUME
from quintet.payments.slices import EXPOSED, HISTORY_DAYS, REFERENCE_MINUTES, labels_of, slice_frame

COLUMNS = ("incident_id", "place", *Explained._fields)
_TYPES = {"incident_id": "str", "place": "int32", "dimension": "str", "value": "str", "observed": "int64"}


def incident_values(
    connection: duckdb.DuckDBPyConnection, dimensions: Sequence[str], points: pd.DataFrame, incidents: pd.DataFrame
) -> pd.DataFrame:
    """Return the values that explain incidents, as `COLUMNS`; none without dimensions.

    points, incidents: as `detect_batch` returns them. connection: to the warehouse, which has the counts by value.
    """
    rows = []
    if dimensions:
        for incident in incidents[incidents["series"] != FEED].to_dict("records"):  # a few incidents
            worst = _worst_minute(points, incident)
            if worst is not None:
                found = _explained(connection, dimensions, incident, worst)
                rows += [(incident["incident_id"], place, *one) for place, one in enumerate(found)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype({name: _TYPES.get(name, "float64") for name in COLUMNS})


def _worst_minute(points: pd.DataFrame, incident: dict) -> dt.datetime | None:
    own = points[(points["series"] == incident["series"]) & (points["minute_at"] >= incident["started_at"])]
    worst = own.loc[own["score"] == incident["peak_score"], "minute_at"]
    return None if worst.empty else worst.iloc[0].to_pydatetime()


def _explained(
    connection: duckdb.DuckDBPyConnection, dimensions: Sequence[str], incident: dict, worst: dt.datetime
) -> list[Explained]:
    is_drop = incident["series"] == VOLUME
    status = APPROVED if is_drop else str(incident["series"])
    minute = dt.timedelta(minutes=1)
    first, last = worst - (int(incident["window_minutes"]) - 1) * minute, worst
    started = incident["started_at"].to_pydatetime()
    counts = _sums(connection, first, last, (status,))
    weights = (
        _sums(connection, started - REFERENCE_MINUTES * minute, started - minute, (APPROVED,))
        if is_drop
        else _sums(connection, first, last, EXPOSED)
    )
    history = {} if is_drop else _histories(connection, dimensions, status, started)
    slices = slice_frame(counts, weights, dimensions)
    return explain(slices, dimensions, history, float(incident["expected"]), is_drop=is_drop)


def _sums(
    connection: duckdb.DuckDBPyConnection, first: dt.datetime, last: dt.datetime, statuses: Sequence[str]
) -> dict[str, int]:
    """Return the counts of statuses from the first to the last minute, by combination of values."""
    rows = connection.execute(
        "select labels, sum(transaction_count)::bigint from intermediate.int_transactions_current "
        "where day between $first::date and $last::date and list_contains($statuses, status) "
        "and day::timestamp + to_minutes(minute_of_day) between $first and $last group by labels",
        {"first": first, "last": last, "statuses": list(statuses)},
    ).fetchall()
    found: Counter[str] = Counter()
    for labels, count in rows:
        found[labels_of(json.loads(labels).items())] += count
    return dict(found)


def _histories(
    connection: duckdb.DuckDBPyConnection, dimensions: Sequence[str], status: str, until: dt.datetime
) -> dict[str, pd.DataFrame]:
    """Return by dimension the events and exposure of each value in the days before."""
    found = {}
    for name in dimensions:
        frame = connection.execute(
            "select labels ->> $name as value, sum(transaction_count) filter (where status = $status) as events, "
            "sum(transaction_count) filter (where list_contains($exposed, status)) as exposure "
            "from intermediate.int_transactions_current where day between $since::date and $until::date "
            "and day::timestamp + to_minutes(minute_of_day) < $until and value is not null group by value",
            {
                "name": f'$."{name}"',
                "status": status,
                "exposed": list(EXPOSED),
                "since": until - dt.timedelta(days=HISTORY_DAYS),
                "until": until,
            },
        ).df()
        values = [clean_value(one) for one in frame["value"]]
        found[name] = frame[["events", "exposure"]].fillna(0).astype(float).groupby(values).sum()
    return found
