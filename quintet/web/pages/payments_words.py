"""The payments page in words: the state of each series, a summary, key figures and messages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from quintet.payments.detector import STATUSES
from quintet.payments.incidents import FEED, VOLUME, series_name, to_datetime
from quintet.payments.settings import CHANNELS
from quintet.presentation.design import Column
from quintet.presentation.wording import counted, lasting
from quintet.state.outbox import last_messages
from quintet.web.rendering import Kpi, State

_MOST_MESSAGES = 30
_LATE_MINUTES = 5
ORDER = (VOLUME, *STATUSES)
MESSAGE_COLUMNS = (
    Column("written", "Created at (UTC)", "moment"),
    Column("channel", "Channel"),
    Column("title", "Message"),
    Column("state", "State"),
    Column("attempts", "Attempts", "count"),
    Column("sent", "Sent at (UTC)", "moment"),
    Column("error", "Last error"),
)


@dataclass(frozen=True)
class SeriesState:
    """The current state of a series, in words.

    incident_id: of its open incident, else empty. acknowledged_by: who handles that; empty while nobody does.
    """

    series: str
    name: str
    state: State
    words: str
    since: str = ""
    incident_id: str = ""
    acknowledged_by: str = ""


def series_states(
    points: pd.DataFrame, rows: Sequence[Mapping[str, Any]], unknown: Sequence[str], now: dt.datetime
) -> list[SeriesState]:
    """Describe each series in words, the worst first."""
    firing = {row["series"]: row for row in rows if row["state"] == "firing"}
    present = [name for name in (*ORDER, FEED, *unknown) if name in set(points["series"])]
    last = {series: group.iloc[-1] for series, group in points.groupby("series")}
    states = []
    for series in present:
        row = firing.get(series)
        if row is not None:
            state: State = "critical" if row["severity"] == "critical" else "warning"
            since = f"since {moment_of(row['started_at'], now)} UTC"
            own = (str(row["incident_id"]), row["acknowledged_by"] or "")
            states.append(SeriesState(series, series_name(series), state, row["reason"], since, *own))
        elif series == FEED:
            newest = to_datetime(int(last[series]["minute"]))
            behind = (now.replace(tzinfo=None) - newest).total_seconds()
            words = f"last minute {newest:%Y-%m-%d %H:%M} UTC"
            late = behind > _LATE_MINUTES * 60
            words += f", {lasting(behind)} behind the clock" if late else ""
            states.append(SeriesState(series, "feed", "warning" if late else "good", words))
        else:
            word = "usual, an unknown status" if series in unknown else "usual"
            states.append(SeriesState(series, series_name(series), "good", word))
    return sorted(states, key=lambda one: ("critical", "warning", "good", "none").index(one.state))


def moment_of(text: str, now: dt.datetime) -> str:
    """Return the time of an ISO moment in UTC, with its date unless that is today's."""
    return text[11:16] if text[:10] == f"{now:%Y-%m-%d}" else text[:16].replace("T", " ")


def summary_of_now(states: Sequence[SeriesState], points: pd.DataFrame, now: dt.datetime) -> str:
    """Return the state of the live feed in a sentence."""
    if points.empty:
        return (
            "No transactions have been sent to the service yet. Send them to `/v1/payments/transactions`, or send a "
            "file with `make send`."
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


def key_figures(points: pd.DataFrame, rows: Sequence[Mapping[str, Any]]) -> list[Kpi]:
    """Return the open and shown incidents, and the last hour's approvals and denials against what is expected."""
    is_open = [row for row in rows if row["state"] == "firing"]
    critical = sum(row["severity"] == "critical" for row in is_open)
    end = pd.Timestamp(points["minute_at"].max()) if len(points) else None
    last = f"until {end:%Y-%m-%d %H:%M} UTC" if end is not None else "no minute yet"
    return [
        Kpi("Open incidents", len(is_open), "count", basis=f"{critical} critical"),
        Kpi(
            "Incidents shown",
            len(rows),
            "count",
            basis=f"in {counted(len({row['group_id'] for row in rows}), 'group')}",
        ),
        _last_hour("Approved in the last hour", points[points["series"] == VOLUME], end, last, better=True),
        _last_hour("Denied in the last hour", points[points["series"] == "denied"], end, last, better=False),
    ]


def _last_hour(label: str, own: pd.DataFrame, end: pd.Timestamp | None, basis: str, *, better: bool) -> Kpi:
    """Return a series' count in the hour until `end`, against the count expected in the same minutes."""
    if end is None:
        return Kpi(label, None, "count", basis=basis)
    by_minute = own.set_index("minute_at").sort_index()
    hour = by_minute[by_minute.index > end - pd.Timedelta(hours=1)]
    expected = float((hour["expected"] / hour["window_minutes"]).sum())
    count = float(hour["minute_count"].sum())
    against = f"against {expected:,.0f} expected at this time" if expected > 0 else ""
    return Kpi(
        label,
        count,
        "count",
        change=count / expected - 1 if expected > 0 else None,
        change_against=against,
        better=better,
        trend=by_minute["minute_count"].resample("15min").sum().tail(12).tolist(),
        basis=basis,
    )


def summary_of_day(day: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the incidents of a day in a sentence."""
    critical = sum(row["severity"] == "critical" for row in rows)
    if not rows:
        return f"{day}: no incident."
    return f"{day}: {counted(len(rows), 'incident')}, {critical:,} of them critical."


def last_messages_frame(service: Any) -> pd.DataFrame:
    """Return the last messages to the team, the last one first."""
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
        for one in last_messages(service.store, _MOST_MESSAGES, channels=CHANNELS)
    ]
    return pd.DataFrame(rows, columns=[column.name for column in MESSAGE_COLUMNS])
