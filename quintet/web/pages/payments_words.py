"""The payments page in words: the state of each series, a summary, key figures and messages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from quintet.payments.detector import STATUSES
from quintet.payments.incidents import FEED, VOLUME, to_datetime
from quintet.payments.notifications import series_name
from quintet.payments.self_test import CHANNEL as SELF_TEST
from quintet.presentation.design import Column
from quintet.presentation.wording import counted
from quintet.state.outbox import last_messages
from quintet.web.rendering import Kpi, State

_MOST_MESSAGES = 30
_LATE_MINUTES = 5
ORDER = (VOLUME, *STATUSES)
MESSAGE_COLUMNS = (
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
        Kpi(
            "Incidents shown",
            len(rows),
            "count",
            basis=f"in {counted(len({row['group_id'] for row in rows}), 'group')}",
        ),
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
        for one in last_messages(service.store, _MOST_MESSAGES, left_out=SELF_TEST)
    ]
    return pd.DataFrame(rows, columns=[column.name for column in MESSAGE_COLUMNS])
