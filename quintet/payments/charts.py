"""The payments figures: each turns a frame into a chart, its table and a sentence with the main number.

For an empty frame, a function returns a figure without a chart whose note says what to do. Times are UTC; counts are
transactions per minute or sales per hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import altair as alt
import pandas as pd

from quintet.payments.checkout import REFERENCES
from quintet.payments.evaluation import OWN, SCOPES
from quintet.payments.incidents import series_name
from quintet.presentation.design import Column, Figure, FilledChart, format_value
from quintet.presentation.wording import counted

POINTS = "points"
"""The name of a series chart's data, which a page uses to append points."""

_SERIES_HEIGHT = 168
_MOST_DRAWN = 200
_STEPS = (1, 2, 5, 10, 15, 30, 60)
"""Minutes that one drawn point may stand for, so that a long time has at most `_MOST_DRAWN` points."""
_CHECKOUT_HEIGHT = 320
_POINT_COLUMNS = (
    Column("minute_at", "Minute, UTC", "moment"),
    Column("minute_count", "Transactions", "count"),
    Column("lower", "Expected from", "decimal"),
    Column("upper", "Expected to", "decimal"),
    Column("score", "Score", "decimal"),
    Column("reason", "Why"),
)
_REFERENCE_NAMES = {
    "today": "Today",
    "yesterday": "Yesterday",
    "same_day_last_week": "Same day last week",
    "avg_last_week": "Mean of last week",
    "avg_last_month": "Mean of last month",
}
_CHECKOUT_COLUMNS = (
    Column("hour", "Hour", "identifier"),
    Column("today", "Today", "count"),
    Column("expected", "Expected", "decimal"),
    Column("yesterday", "Yesterday", "count"),
    Column("same_day_last_week", "Same day last week", "count"),
    Column("avg_last_week", "Mean of last week", "decimal"),
    Column("avg_last_month", "Mean of last month", "decimal"),
    Column("p_value", "p-value", "decimal"),
    Column("reason", "What it is"),
)
_EVALUATION_COLUMNS = (
    Column("detector", "Detector"),
    Column("incidents", "Incidents", "count"),
    Column("found", "Found", "count"),
    Column("recall", "Recall", "percent"),
    Column("false_episodes_per_day", "False episodes a day", "decimal"),
    Column("delay_minutes_median", "Median delay", "decimal", "minutes"),
    Column("delay_minutes_p90", "90th percentile", "decimal", "minutes"),
)
_DETECTORS = {
    "gamma_poisson": "this detector",
    "robust_z": "robust z",
    "static_thresholds": "static thresholds",
    "isolation_forest": "isolation forest",
    "half_space_trees": "half-space trees",
}


def series_figure(points: pd.DataFrame, incidents: pd.DataFrame, series: str) -> Figure:
    """Return the chart of one series by minute: expected band, points that recommend an alert, and incidents.

    points: as `marts.fct_payment_points`; incidents: as `marts.fct_payment_incidents`; both of any series.
    Minutes without rows are gaps.
    """
    name = figure_name(series)
    title = f"{series_name(series).capitalize()}, transactions a minute"
    own = points[points["series"] == series].sort_values("minute_at")
    table = own.sort_values("minute_at", ascending=False)
    if own.empty:
        note = "This series has no minutes yet. Send transactions to the service, or drop a file into the inbox."
        return Figure(name, title, "There is nothing to draw.", None, table, _POINT_COLUMNS, note, 120)
    inside = incidents[(incidents["series"] == series) & (incidents["state"] != "withdrawn")]
    step = _step_of(own)
    chart = FilledChart(_series_template(), POINTS, chart_rows(own, inside, step))
    note = f"Each point is the mean of {counted(step, 'minute')}; the CSV has every minute." if step > 1 else ""
    words = series_in_words(own, inside, series)
    return Figure(name, title, words, chart, table, _POINT_COLUMNS, note, _SERIES_HEIGHT + 24)


def figure_name(series: str) -> str:
    """Return the name of a series' figure."""
    return f"series-{series.replace('_', '-').replace(' ', '-').replace('.', '-')}"


@cache
def _series_template() -> Mapping[str, Any]:
    """Return the specification of a series chart without its rows."""
    x = alt.X("t:T", scale=alt.Scale(type="utc"), axis=alt.Axis(title=None, format="%H:%M", labelOverlap="greedy"))
    tooltips = [
        alt.Tooltip("t:T", title="Minute, UTC", format="%Y-%m-%d %H:%M"),
        alt.Tooltip("n:Q", title="Transactions", format=",.0f"),
        alt.Tooltip("lo:Q", title="Expected from", format=",.1f"),
        alt.Tooltip("hi:Q", title="Expected to", format=",.1f"),
    ]
    axis = alt.Axis(title=None, tickCount=3, grid=True)
    base = alt.Chart(alt.NamedData(name=POINTS))
    # every minute is drawn, most of them transparent: a layer without any row would have no scale
    spans = base.mark_rect(style="alert-span").encode(
        x=x, x2="end:T", fillOpacity=alt.condition("datum.inside", alt.value(0.14), alt.value(0))
    )
    band = base.mark_area(style="interval-80").encode(x=x, y=alt.Y("lo:Q", axis=axis), y2="hi:Q")
    line = base.mark_line(strokeWidth=1.25, invalid="break-paths-show-domains").encode(x=x, y=alt.Y("n:Q", axis=axis))
    marks = base.mark_point(style="alert", shape="triangle-down", size=40, invalid="filter").encode(
        x=x,
        y=alt.Y("n:Q", axis=axis),
        opacity=alt.condition("datum.alert", alt.value(1), alt.value(0)),
    )
    hover = base.mark_rule(opacity=0, strokeWidth=6).encode(x=x, tooltip=tooltips)
    chart = alt.layer(spans, band, line, marks, hover).properties(height=_SERIES_HEIGHT)
    with alt.theme.enable("none"):
        spec: dict[str, Any] = chart.to_dict(validate=False)
    spec.pop("config", None)
    return spec


def _step_of(points: pd.DataFrame) -> int:
    minutes = (points["minute_at"].max() - points["minute_at"].min()).total_seconds() / 60 + 1
    return next((step for step in _STEPS if minutes / step <= _MOST_DRAWN), -int(-minutes // _MOST_DRAWN))


def chart_rows(points: pd.DataFrame, incidents: pd.DataFrame, step: int = 1) -> list[dict[str, object]]:
    """Return the rows of a series chart, one per `step` minutes from first to last, with means; null without a point.

    t, end: milliseconds since 1970; n: transactions; lo, hi: the band; alert: whether a minute recommends one;
    inside: whether a minute belongs to an incident.
    """
    minutes = pd.date_range(points["minute_at"].min(), points["minute_at"].max(), freq="min")
    dense = points.set_index("minute_at").reindex(minutes)
    last = minutes[-1] + pd.Timedelta(minutes=1)
    inside = pd.Series(data=False, index=minutes)
    for started, ended in zip(incidents["started_at"], incidents["ended_at"].fillna(last), strict=True):
        inside |= (minutes >= started) & (minutes < ended)  # a few incidents
    start = minutes.astype("datetime64[ms]").astype("int64")
    frame = pd.DataFrame(
        {
            "t": start,
            "end": start + 60_000 * step,
            "n": dense["minute_count"].to_numpy(),
            "lo": dense["lower"].round(2).to_numpy(),
            "hi": dense["upper"].round(2).to_numpy(),
            "alert": dense["is_anomalous"].eq(True).to_numpy(),
            "inside": inside.to_numpy(),
        }
    )
    if step > 1:
        whole = frame["t"] // (60_000 * step) * (60_000 * step)
        kinds = {"n": "mean", "lo": "mean", "hi": "mean", "alert": "any", "inside": "any"}
        frame = frame.astype(dict.fromkeys(("n", "lo", "hi"), float)).groupby(whole).agg(kinds).round(2)
        frame = frame.reset_index().assign(end=lambda rows: rows["t"] + 60_000 * step)
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def series_in_words(points: pd.DataFrame, incidents: pd.DataFrame, series: str) -> str:
    """Describe the last minute with its expected band, and the number of incidents in the time shown."""
    last = points.iloc[-1]
    band = f"{format_value(last['lower'], 'count')} to {format_value(last['upper'], 'count')} expected"
    first, end = points["minute_at"].min(), points["minute_at"].max() + pd.Timedelta(minutes=1)
    inside = incidents[(incidents["started_at"] < end) & (incidents["ended_at"].fillna(end) > first)]
    count = counted(len(inside), "incident") if len(inside) else "no incident"
    return (
        f"{int(last['minute_count']):,} {series_name(series)} at {last['minute_at']:%H:%M} UTC, {band}; "
        f"{count} {_time_shown(first, end)}."
    )


def _time_shown(first: pd.Timestamp, end: pd.Timestamp) -> str:
    """Return a time from its first minute until before `end`, with dates unless both are of one day."""
    last = end - pd.Timedelta(minutes=1)
    if first.date() == last.date():
        return f"from {first:%H:%M} to {last:%H:%M} UTC"
    return f"from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"


def checkout_figure(hours: pd.DataFrame, source_file: str) -> Figure:
    """Return the chart of a day of checkout sales beside its reference days, with anomalous hours marked.

    hours: `marts.fct_checkout_comparison` with expected, p_value, is_anomalous and reason of `fct_checkout_anomalies`.
    """
    rows = hours[hours["source_file"] == source_file].sort_values("hour")
    title = f"Checkout sales by hour, {source_file}" if source_file else "Checkout sales by hour"
    if rows.empty:
        note = "There is no checkout file yet. Drop one into its inbox and run `make run SELECT=payments`."
        return Figure("checkout", title, "There is nothing to draw.", None, rows, _CHECKOUT_COLUMNS, note, 160)
    marked = rows[rows["is_anomalous"]]
    lines = rows.melt("hour", [*REFERENCES], "reference", "sales").dropna(subset=["sales"])
    lines = lines.assign(reference=lines["reference"].map(_REFERENCE_NAMES), sales=lines["sales"].astype(float))
    x = alt.X("hour:O", axis=alt.Axis(title="Hour of the day", labelAngle=0, labelOverlap="greedy"))
    y = alt.Axis(title="Sales", grid=True)
    tooltips = [
        alt.Tooltip("hour:O", title="Hour"),
        alt.Tooltip("today:Q", title="Sales"),
        alt.Tooltip("expected:Q", title="Expected", format=",.1f"),
        alt.Tooltip("reason:N", title="What it is"),
    ]
    plain = rows[["hour", "today", "expected", "reason", "is_anomalous"]].assign(
        today=rows["today"].astype(float), reason=rows["reason"].fillna("usual")
    )
    bars = alt.Chart(plain).mark_bar(fillOpacity=0.35).encode(x=x, y=alt.Y("today:Q", axis=y), tooltip=tooltips)
    references = (
        alt.Chart(lines)
        .mark_line(strokeWidth=1.5)
        .encode(
            x=x,
            y=alt.Y("sales:Q", axis=y),
            color=alt.Color("reference:N", sort=list(_REFERENCE_NAMES.values()), legend=alt.Legend(columns=2)),
        )
    )
    expected = (
        alt.Chart(plain)
        .mark_line(style="reference", strokeWidth=2, interpolate="step")
        .encode(x=x, y=alt.Y("expected:Q", axis=y), tooltip=tooltips)
    )
    # place the mark at the expected sales: a bar of zero would hide it
    flags = (
        alt.Chart(plain[plain["is_anomalous"]].assign(at=lambda frame: frame[["today", "expected"]].max(axis=1)))
        .mark_point(style="alert", shape="triangle-down", size=90, filled=True, yOffset=-10)
        .encode(x=x, y=alt.Y("at:Q", axis=y), tooltip=tooltips)
    )
    found = ", ".join(f"{hour:02d}h" for hour in marked["hour"])
    sentence = (
        f"{counted(int(rows['today'].sum()), 'sale')}; {len(marked)} of {counted(len(rows), 'hour')} "
        f"anomalous: {found}."
        if len(marked)
        else f"{counted(int(rows['today'].sum()), 'sale')}; no hour is anomalous."
    )
    return Figure(
        "checkout",
        title,
        sentence,
        alt.layer(bars, references, expected, flags).properties(height=_CHECKOUT_HEIGHT),
        rows,
        _CHECKOUT_COLUMNS,
        "Bars: today. Dashed line: expected. Triangle: anomalous after correction over all hours.",
        _CHECKOUT_HEIGHT + 40,
    )


def evaluation_figure(evaluation: pd.DataFrame) -> Figure:
    """Return the chart of recall and false episodes a day by detector. evaluation: `marts.fct_alert_evaluation`."""
    rows = evaluation[evaluation["scope"] == "all"].sort_values("recall", ascending=False)
    rows = rows.assign(detector=rows["detector"].replace(_DETECTORS))
    title = "Injected incidents found, share of all, on generated days"
    if rows.empty:
        note = "The comparison has not been made yet. Run `make run`."
        return Figure("evaluation", title, "There is nothing to draw.", None, rows, _EVALUATION_COLUMNS, note, 120)
    rows["text"] = [
        f"{recall:.0%}, {false:.2g} false a day"
        for recall, false in zip(rows["recall"], rows["false_episodes_per_day"], strict=True)
    ]
    y = alt.Y("detector:N", title=None, sort=rows["detector"].tolist(), scale=alt.Scale(paddingInner=0.35))
    base = alt.Chart(rows[["detector", "recall", "text"]])
    bars = base.mark_bar().encode(x=alt.X("recall:Q", axis=None, scale=alt.Scale(domain=[0, 1.45])), y=y)
    labels = base.mark_text(style="label", align="left", dx=5).encode(x="recall:Q", y=y, text="text:N")
    height = 34 * len(rows) + 16
    own = rows[rows["detector"] == _DETECTORS[OWN]].iloc[0]
    sentence = (
        f"This detector finds {int(own['found'])} of {counted(int(own['incidents']), 'incident')} "
        f"in {counted(int(own['days']), 'day')}, "
        f"with {own['false_episodes_per_day']:.2g} false episodes a day and a median delay of "
        f"{own['delay_minutes_median']:.0f} minutes."
    )
    others = evaluation[~evaluation["scope"].isin(SCOPES)]
    if len(others):
        missed, noisy = (
            others.iloc[place] for place in (others["recall"].argmin(), others["false_episodes_per_day"].argmax())
        )
        sentence += (
            f" Of {len(others)} other kinds of businesses, recall is lowest where one {missed['scope']} "
            f"({missed['recall']:.0%}), and false episodes are most frequent where one {noisy['scope']} "
            f"({noisy['false_episodes_per_day']:.2g} a day)."
        )
    note = "Surges, ramps, stalls and silences among benign blips, gaps and promotions, generated by `quintet.samples`."
    chart = alt.layer(bars, labels).properties(height=height)
    return Figure("evaluation", title, sentence, chart, rows, _EVALUATION_COLUMNS, note, height)
