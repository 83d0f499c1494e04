"""What the conversions charts share: bars with labels, and words of levels."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from quintet.conversions.insights import NOT_MAPPED, country_name
from quintet.presentation.design import Column, Figure, compact, tooltips

_NO_ROWS = (
    "There is no data yet. Drop a conversions file and a broker file into their inboxes and run "
    "`make run SELECT=conversions`."
)
PERCENT_AXIS = alt.Axis(
    labelOverlap="greedy",
    title=None,
    format="~%",
    grid=True,
    labelExpr="datum.value > 1.0001 ? '' : datum.label",
    gridOpacity={"condition": {"test": "datum.value > 1.0001", "value": 0}, "value": 1},
)
"""The axis of a share: the room for labels behind 100% has no figures and no lines."""
LABEL_LIMIT = 230
_LABEL_FACTOR = 1.35
"""The factor by which an axis extends beyond its longest bar or interval, so that the label beside it fits."""


def bars_of(name: str, title: str, alternative: str, rows: pd.DataFrame, columns: tuple[Column, ...]) -> Figure:
    """Return the rows as bars with their label and share. rows: label, rows, share."""
    rows = rows.assign(
        text=[f"{compact(count)} ({share:.1%})" for count, share in zip(rows["rows"], rows["share"], strict=True)]
    )
    y = alt.Y("label:N", title=None, sort=rows["label"].tolist(), axis=alt.Axis(labelLimit=LABEL_LIMIT + 40))
    base = alt.Chart(plain_rows(rows, columns, "text"))
    scale = alt.Scale(domain=[0, float(rows["rows"].max()) * _LABEL_FACTOR])
    bars = base.mark_bar().encode(x=alt.X("rows:Q", axis=None, scale=scale), y=y, tooltip=tooltips(columns))
    words = base.mark_text(style="label", align="left", dx=5).encode(x="rows:Q", y=y, text="text:N")
    height = 26 * len(rows) + 12
    return Figure(
        name, title, alternative, alt.layer(bars, words).properties(height=height), rows, columns, height=height
    )


def label_scale(least: float, most: float) -> alt.Scale:
    """Return a scale with space for the label beside the longest interval."""
    return alt.Scale(domain=[least, least + (most - least or 1.0) * _LABEL_FACTOR], nice=False, zero=False)


def level_label(dimension: str, level: str) -> str:
    """Return the label of a level of a dimension: a country by its name."""
    if dimension == "country":
        return country_name(level)
    return "Without a category" if level == NOT_MAPPED else level


def lower_first(heading: str) -> str:
    """Return a heading for the middle of a sentence; an abbreviation keeps its capitals."""
    return heading if heading[:2].isupper() else heading.lower()


def no_figure(name: str, title: str, table: pd.DataFrame, columns: tuple[Column, ...]) -> Figure:
    """Return a figure without a chart, whose note says what to do."""
    shown = table.head(0).reindex(columns=[column.name for column in columns])
    return Figure(name, title, "There is no data.", None, shown, columns, note=_NO_ROWS, height=160)


def plain_rows(rows: pd.DataFrame, columns: Sequence[Column], *more: str) -> pd.DataFrame:
    """Return the columns that a chart needs, with rounded floats: the same digits in every renderer."""
    names = [name for name in dict.fromkeys([*(column.name for column in columns), *more]) if name in rows]
    plain = rows[names].copy()
    for name in plain.select_dtypes("float"):
        plain[name] = plain[name].round(6)
    return plain
