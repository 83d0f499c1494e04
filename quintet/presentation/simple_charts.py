"""Charts that reports of several businesses share: ranked bars, and lines over time."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from quintet.presentation.design import Column, Figure, format_value, plain_values

_ROW = 26
_FORMATS = {"percent": ".0%", "change": "+.0%", "count": ",.0f", "money": "~s", "decimal": ",.3~f"}


def ranked_bars(
    name: str, title: str, frame: pd.DataFrame, label: Column, value: Column, alternative: str, note: str = ""
) -> Figure:
    """Return one bar for each row of a frame, in its order, with its value beside it.

    label, value: its columns. The figure says so where the frame has no rows.
    """
    columns = (label, value)
    if frame.empty:
        return Figure(name, title, "", None, frame, columns, "There is nothing to draw: the data has no such rows.", 80)
    rows = frame.assign(
        shown=[format_value(each, value.kind) for each in frame[value.name]],
        label=frame[label.name].astype(str),
        value=frame[value.name].astype(float),
    )
    y = alt.Y("label:N", sort=None, axis=alt.Axis(title=None, labelLimit=300))
    low, high = min(0.0, float(rows["value"].min())), max(0.0, float(rows["value"].max()))
    room = (high - low) * 0.16 or 1.0
    scale = alt.Scale(domain=[low - (room if low < 0 else 0), high + (room if high > 0 else 0)], nice=False)
    axis = alt.Axis(title=None, format=_FORMATS.get(value.kind, ""), grid=True)
    base = alt.Chart(plain_values(rows, "label", "value", "shown")).encode(
        y=y, x=alt.X("value:Q", scale=scale, axis=axis)
    )
    right = base.transform_filter("datum.value >= 0").mark_text(style="label", align="left", dx=6)
    left = base.transform_filter("datum.value < 0").mark_text(style="label", align="right", dx=-6)
    chart = alt.layer(base.mark_bar(), right.encode(text="shown:N"), left.encode(text="shown:N"))
    height = len(rows) * _ROW
    return Figure(name, title, alternative, chart.properties(height=height), frame, columns, note, height + 40)


def lines_over_time(
    name: str,
    title: str,
    frame: pd.DataFrame,
    time: Column,
    values: Sequence[Column],
    alternative: str,
    note: str = "",
    time_format: str = "%Y-%m-%d",
    from_zero: bool = True,
) -> Figure:
    """Return a line over time for each of several columns of one kind, named in a legend.

    time: the column with moments, UTC. A missing value is a gap.
    """
    columns = (time, *values)
    if frame.empty:
        return Figure(name, title, "", None, frame, columns, "There is nothing to draw: the data has no such rows.", 80)
    long = frame.melt([time.name], [each.name for each in values], "name", "value")
    long = long.assign(
        t=pd.to_datetime(long[time.name]).dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        name=long["name"].map({each.name: each.label for each in values}),
        value=long["value"].astype("float64"),
    )
    axis = alt.Axis(title=None, format=_FORMATS.get(values[0].kind, ""), grid=True)
    x = alt.X("t:T", scale=alt.Scale(type="utc"), axis=alt.Axis(title=None, format=time_format, labelOverlap="greedy"))
    chart = alt.Chart(plain_values(long, "t", "name", "value"))
    chart = chart.mark_line(point=frame.shape[0] <= 40).encode(
        x=x, y=alt.Y("value:Q", axis=axis, scale=alt.Scale(zero=from_zero))
    )
    if len(values) > 1:
        chart = chart.encode(color=alt.Color("name:N", sort=[each.label for each in values]))
    return Figure(name, title, alternative, chart.properties(height=260), frame, columns, note, 300)
