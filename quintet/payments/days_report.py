"""The payments of the last days as a PDF report: incidents, what the monitor would have sent, and how it decides."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pandas as pd

from quintet.payments.charts import evaluation_figure
from quintet.payments.incidents import series_name
from quintet.presentation.blocks import (
    Chart,
    Evidence,
    Finding,
    Points,
    Report,
    Section,
    Table,
    Text,
    report_without_data,
)
from quintet.presentation.design import Column
from quintet.presentation.simple_charts import lines_over_time
from quintet.presentation.wording import counted, lasting, sureness
from quintet.warehouse.snapshot import identity

MOST_DAYS = 7
"""The report covers the last days of the data."""

_MOST_FINDINGS = 5
_MOST_PAGES = 6
_AROUND = pd.Timedelta(hours=2)
_STEP = "5min"
_MINUTE = pd.Timedelta(minutes=1)


@dataclass(frozen=True)
class Group:
    """Incidents of one cause. lost: approved payments fewer than expected while rows came. excess: by status, more."""

    group_id: str
    incidents: pd.DataFrame
    start: pd.Timestamp
    end: pd.Timestamp
    lost: float
    excess: dict[str, float]


@dataclass(frozen=True)
class _Data:
    days: pd.DataFrame
    points: pd.DataFrame
    incidents: pd.DataFrame
    evaluation: pd.DataFrame


def days_report(snapshot: duckdb.DuckDBPyConnection) -> Report:
    """Return the report over the last days of a snapshot; without any it says how to load them."""
    data = _read(snapshot)
    snapshot_id, published_at = identity(snapshot)
    if data.days.empty:
        how = "Drop a file into the inbox transactions, or send transactions to the service, and run `make run`."
        return report_without_data("payments", how, snapshot_id, published_at)
    groups = _groups(data)
    dates = data.days["day"].astype(str)
    return Report(
        title=_title(data, groups),
        lead="What went wrong with payments, what did it cost, and when would the monitor have sent an alert?",
        source=f"Payments by minute, {dates.min()} to {dates.max()}",
        snapshot_id=snapshot_id,
        published_at=published_at,
        findings=tuple([*map(_finding, groups[:4]), *_gaps(data)][:_MOST_FINDINGS]),
        sections=(
            _general(data),
            *(_page(data, group) for group in groups[:_MOST_PAGES]),
            *([_messages(data)] if len(data.incidents) else []),
            _decides(data),
        ),
        appendix=(_method(),),
    )


def _read(snapshot: duckdb.DuckDBPyConnection) -> _Data:
    first = f"(select max(day) - {MOST_DAYS - 1} from marts.agg_payment_days)"
    days = snapshot.execute(f"from marts.agg_payment_days where day >= {first} order by day").df()
    points = snapshot.execute(
        "select points.series, points.minute_at, points.expected / points.window_minutes as expected, "
        "points.minute_count::double as observed\nfrom marts.fct_payment_points as points\n"
        "join (select distinct minute_at from marts.fct_payment_minutes where is_observed) using (minute_at)\n"
        f"where points.series <> 'feed' and points.minute_at >= {first} order by series, minute_at"
    ).df()
    incidents = snapshot.execute(
        f"from marts.fct_payment_incidents where started_at >= {first} order by detected_at, started_at, series"
    ).df()
    return _Data(days, points, incidents, snapshot.execute("from marts.fct_alert_evaluation").df())


def _groups(data: _Data) -> list[Group]:
    """Return the groups of incidents, those that cost most approvals first."""
    found = []
    latest = data.incidents["detected_at"] if data.points.empty else data.points["minute_at"]
    last = latest.max() + _MINUTE
    for group_id, incidents in data.incidents.groupby("group_id", sort=False):
        ends = incidents["ended_at"]
        start, end = incidents["started_at"].min(), ends.where(ends.notna(), last).max()
        within = data.points[data.points["minute_at"].between(start, end, inclusive="left")]
        more = (within["observed"] - within["expected"]).groupby(within["series"]).sum()
        excess = {series: float(more[series]) for series in more.index if series in set(incidents["series"])}
        is_low = bool({"volume", "feed"} & set(incidents["series"]))
        lost = max(float(-more.get("volume", 0.0)), 0.0) if is_low else 0.0
        excess = {series: size for series, size in excess.items() if series != "volume" and size > 0}
        found.append(Group(str(group_id), incidents, start, end, lost, excess))
    return sorted(found, key=lambda group: (-max(group.lost, sum(group.excess.values())), group.group_id))


def _title(data: _Data, groups: list[Group]) -> str:
    transactions = int(data.days["transactions"].sum())
    base = f"{counted(transactions, 'payment')} in {counted(len(data.days), 'day')}"
    if not groups:
        return f"{base}: no incident"
    lost = sum(group.lost for group in groups)
    return f"{base}: {counted(len(groups), 'incident')} that cost about {lost:,.0f} approved payments"


def _when(group: Group) -> str:
    same_day = group.start.date() == group.end.date()
    end = f"{group.end:%H:%M}" if same_day else f"{group.end:%H:%M} of {group.end.day} {group.end:%B}"
    return f"On {group.start.day} {group.start:%B %Y} from {group.start:%H:%M} to {end} UTC"


def _finding(group: Group) -> Finding:
    names = ", ".join(dict.fromkeys(series_name(series) for series in group.incidents["series"]))
    first = group.incidents.iloc[0]
    delay = first["detected_at"] + _MINUTE - group.start
    worst = max(group.excess, key=lambda series: group.excess[series], default="")
    is_volume = group.lost >= sum(group.excess.values())
    span = f"minute_at >= timestamp '{group.start}' and minute_at < timestamp '{group.end}'\n    and series = {{}}"
    query = (
        "select {}sum(minute_count - expected / window_minutes)\nfrom marts.fct_payment_points\n"
        "join (select distinct minute_at from marts.fct_payment_minutes where is_observed) using (minute_at)\n"
        f"where {span}"
    )
    evidence = []
    if group.lost:
        evidence.append(Evidence("approved payments lost", group.lost, query.format("-", "'volume'")))
    if worst:
        evidence.append(Evidence(f"{worst}, more than expected", group.excess[worst], query.format("", f"'{worst}'")))
    worse = f"; {group.excess[worst]:,.0f} more than expected were {series_name(worst)}" if worst else ""
    text = f"{_when(group)}, about {group.lost:,.0f} fewer payments were approved than expected{worse}."
    if not group.lost:
        text = f"{_when(group)}{worse.replace(';', ',')}." if worst else f"{_when(group)}: {names}, anomalous."
    size = f"{group.lost:,.0f} payments lost"
    if not (is_volume and group.lost):
        duration = lasting((group.end - group.start).total_seconds())
        size = f"{group.excess[worst]:,.0f} {series_name(worst)}" if worst else duration
    return Finding(
        size,
        text,
        _action(group, worst),
        f"About {max(group.lost, sum(group.excess.values())):,.0f} payments that would have gone through; the alert "
        f"comes {lasting(delay.total_seconds())} after the first bad minute.",
        sureness(1 - 10 ** -float(group.incidents["peak_score"].max())),
        tuple(evidence),
    )  # fmt: skip


def _action(group: Group, worst: str) -> str:
    series = set(group.incidents["series"])
    at = f"{group.start:%H:%M}"
    if "feed" in series and len(series) == 1:
        return f"Find out why no rows arrived from {at}: payments may have gone on unseen."
    actions = {
        "reversed": f"Find the change or outage at {at} after which payments were reversed, and roll it back.",
        "backend_reversed": f"Look at the backend's log from {at}: it took payments back by itself.",
        "denied": f"Ask the card processor what it denied from {at}, and route around it.",
        "failed": f"Look at the errors of the payment service from {at}.",
        "processing": f"Look for a queue that stopped at {at}: payments stayed unfinished.",
        "refunded": f"Check who refunded these payments from {at}, and why.",
    }
    return actions.get(worst, f"Find out what stopped approvals at {at}.")


def _gaps(data: _Data) -> list[Finding]:
    minutes = int(data.days["unobserved_minutes"].sum())
    observed = int(data.days["observed_minutes"].sum())
    if not minutes:
        return []
    first = data.days["day"].min()
    usual = data.days["transactions"].sum() / max(observed, 1)
    return [
        Finding(
            counted(minutes, "minute"),
            f"{counted(minutes, 'minute')} have no rows at all; nobody knows whether payments came in then.",
            "Have the source send a row for each minute, a zero included.",
            f"About {minutes * usual:,.0f} payments would be visible, if those minutes were like the others.",
            "The gap is certain; the payments assume average minutes, and most gaps are at night.",
            (
                Evidence(
                    "minutes without rows", minutes,
                    "select count(distinct minute_at) from marts.fct_payment_minutes\n"
                    f"where not is_observed and day >= date '{pd.Timestamp(first):%Y-%m-%d}'",
                ),
            ),
        )
    ]  # fmt: skip


def _general(data: _Data) -> Section:
    volume = data.points[data.points["series"] == "volume"]
    figure = lines_over_time(
        "approved", "Approved payments a minute, means of five minutes", _means(volume),
        Column("at", "Time, UTC", "moment"),
        (Column("observed", "Observed", "count"), Column("expected", "Expected", "count")),
        f"{counted(int(data.days['transactions'].sum()), 'payment')} in {counted(len(data.days), 'day')}.",
        time_format="%d %b %H:%M",
    )  # fmt: skip
    columns = (
        Column("day", "Day"),
        Column("transactions", "Payments", "count"),
        Column("observed_minutes", "Minutes with rows", "count"),
        Column("unobserved_minutes", "Minutes without", "count"),
    )
    days = data.days.assign(day=pd.to_datetime(data.days["day"]).dt.strftime("%Y-%m-%d"))
    each = data.days["transactions"]
    most = counted(int(each.max()), "payment")
    title = f"A day has {int(each.min()):,} to {most}" if len(each) > 1 else f"The day has {most}"
    return Section(title, (Chart(figure), Table(days, columns, "The days")))


def _means(points: pd.DataFrame) -> pd.DataFrame:
    """Return the means of five minutes; a span without rows is a gap."""
    return (
        points.set_index("minute_at")[["observed", "expected"]].resample(_STEP).mean().reset_index(names="at")
        if len(points)
        else pd.DataFrame(columns=["at", "observed", "expected"])
    )


def _page(data: _Data, group: Group) -> Section:
    worst = max(group.excess, key=lambda series: group.excess[series], default="volume")
    if group.lost and group.lost >= sum(group.excess.values()):
        worst = "volume"
    own = data.points[data.points["series"] == worst]
    near = own[own["minute_at"].between(group.start - _AROUND, group.end + _AROUND)]
    figure = lines_over_time(
        "incident", f"{series_name(worst).capitalize()} a minute, means of five minutes", _means(near),
        Column("at", "Time, UTC", "moment"),
        (Column("observed", "Observed", "count"), Column("expected", "Expected", "count")),
        f"The incident lasted {lasting((group.end - group.start).total_seconds())}.", time_format="%H:%M",
    )  # fmt: skip
    return Section(_finding(group).text.rstrip("."), (Chart(figure), _incidents(group.incidents, "Its incidents")))


def _incidents(incidents: pd.DataFrame, caption: str) -> Table:
    rows = incidents.assign(
        what=[series_name(series) for series in incidents["series"]],
        since=incidents["started_at"].dt.strftime("%Y-%m-%d %H:%M"),
        found=incidents["detected_at"].dt.strftime("%H:%M"),
        until=incidents["ended_at"].dt.strftime("%H:%M").fillna("open"),
    )
    columns = (
        Column("what", "What"),
        Column("severity", "Severity"),
        Column("since", "Since, UTC"),
        Column("found", "Detected"),
        Column("until", "Until"),
        Column("observed", "Observed", "count"),
        Column("expected", "Expected", "count"),
    )
    return Table(rows, columns, caption)


def _messages(data: _Data) -> Section:
    """Return the first message about each incident: those of one group and minute are one message."""
    incidents = data.incidents.assign(what=[series_name(series) for series in data.incidents["series"]])
    rows = []
    for _, own in incidents.groupby(["group_id", "detected_at"], sort=False):
        sent = own["detected_at"].iloc[0] + _MINUTE
        rows.append(
            {
                "sent": f"{sent:%Y-%m-%d %H:%M}",
                "severity": "critical" if own["severity"].eq("critical").any() else "warning",
                "delay": (sent - own["started_at"].min()).total_seconds() / 60,
                "text": ". ".join(own["reason"].str.rstrip(".")),
            }
        )
    frame = pd.DataFrame(rows).sort_values("sent", ignore_index=True)
    columns = (
        Column("sent", "Sent, UTC"),
        Column("severity", "Severity"),
        Column("delay", "After, minutes", "count"),
        Column("text", "Message"),
    )
    return Section(
        f"The monitor would have sent {counted(len(frame), 'alert')}, half of them within "
        f"{frame['delay'].median():.0f} minutes",
        (
            Text(
                "Each row is one alert, at the end of the minute in which the incident is detected. The monitor also "
                "repeats a critical alert every four hours until somebody acknowledges it, and reports the end."
            ),
            Table(frame, columns, "What the team would have received", most_letters=260),
        ),
    )


def _decides(data: _Data) -> Section:
    points = Points(
        (
            ("Expect.", "For each minute and status it expects what is usual at this time, from the days before."),
            ("Compare.", "It compares the last minute, the last 5 and the last 15 minutes with that expectation."),
            ("Doubt.", "A count is anomalous where chance would hardly ever bring it, and where it differs by a fifth "
             "and by three payments or more."),
            ("Confirm.", "A status must be anomalous in three of five minutes. Three things alert at once: nothing "
             "approved, a quarter denied, and no rows."),
            ("Group.", "Incidents that begin together are one message, so that one cause does not ring many times."),
        ),
        is_numbered=True,
    )  # fmt: skip
    blocks = [points]
    if len(data.evaluation):
        own = data.evaluation[data.evaluation["scope"] == "all"]
        return Section("How the monitor decides, and how well", (*blocks, Chart(evaluation_figure(own))))
    return Section("How the monitor decides", tuple(blocks))


def _method() -> Section:
    return Section(
        "How this is computed",
        (
            Text(
                "Lost payments are the expected less the observed approvals from the first to the last bad minute of "
                "an incident, over the minutes that have rows. Likewise the payments of a status above expectation."
            ),
            Text(
                "Detectors are compared in generated days with known incidents; those figures depend on the code and "
                "not on the data of this report."
            ),
        ),
    )
