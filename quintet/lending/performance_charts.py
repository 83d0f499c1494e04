"""The figure of estimated and realised performance by month of application."""

from __future__ import annotations

import altair as alt
import pandas as pd

from quintet.lending.performance import MEASURES, in_words
from quintet.presentation.design import Column, Figure, plain_values, tooltips
from quintet.presentation.wording import counted

_ALARMS = {"estimate": "estimate fell", "realised": "worse than estimated"}


def performance(rows: pd.DataFrame) -> Figure:
    """Draw the estimate and the realised figure of each month. rows: `ml.lending_model_performance`."""
    name, title = "lending-performance", "Performance by month of application: estimated, and realised as loans end"
    columns = (
        Column("when", "Month"),
        Column("words", "Measure"),
        Column("loans", "Loans", "count"),
        Column("ended", "Ended", "count"),
        Column("estimated", "Estimated", "decimal"),
        Column("realised", "Realised", "decimal"),
        Column("estimated_of_ended", "Estimated of the ended", "decimal"),
        Column("reference", "Estimated before", "decimal"),
        Column("words_of_alarm", "Alarm"),
    )
    shown = rows.assign(
        when=[f"{month:%Y-%m}" for month in pd.to_datetime(rows["month"])],
        words=rows["measure"].map(MEASURES),
        words_of_alarm=rows["alarm"].map(_ALARMS).fillna(""),
        low=rows["estimated"] - 2 * rows["noise"],
        high=rows["estimated"] + 2 * rows["noise"],
    )
    if shown.empty:
        note = "No loan has a score yet: run `make run SELECT=lending`."
        return Figure(name, title, "There is nothing to show.", None, shown, columns, note=note)
    tips, height = tooltips(columns), 150
    base = alt.Chart().encode(
        x=alt.X("when:O", title="Month of application", axis=alt.Axis(labelOverlap=True)), tooltip=tips
    )
    scale = alt.Scale(zero=False)
    band = base.mark_rule(opacity=0.4, strokeWidth=3).encode(
        y=alt.Y("low:Q", title=None, scale=scale, axis=alt.Axis(grid=True, format=".2f")), y2="high:Q"
    )
    estimated = base.mark_tick(thickness=2).encode(y=alt.Y("estimated:Q", scale=scale))
    realised = base.mark_point(size=60).encode(
        y=alt.Y("realised:Q", scale=scale),
        shape=alt.condition('datum.words_of_alarm != ""', alt.value("triangle-down"), alt.value("circle")),
    )
    fields = ("low", "high", *(column.name for column in columns))
    parts = [
        alt.layer(band, estimated, realised, data=plain_values(part, *fields)).properties(
            height=height, title=str(words)
        )
        for words, part in shown.groupby("words", sort=False)
    ]
    latest = shown[shown["measure"] == "auc"].dropna(subset=["estimated"]).tail(1).to_dict("records")
    first = [f"AUC of {row['when']} is estimated at {row['estimated']:.3f}; " for row in latest]
    ended, loans = (int(shown[shown["measure"] == "auc"][count].sum()) for count in ("ended", "loans"))
    alternative = f"{''.join(first)}{ended:,} of {counted(loans, 'loan')} ended; {in_words(rows)}."
    note = (
        "Line: estimate with two standard errors; dot: realised, of the loans that have ended; triangle: alarm. The "
        "estimate sees other clients, but not that the same clients repay less often: that shows in the dots alone."
    )
    chart = alt.vconcat(*parts)
    return Figure(name, title, alternative, chart, shown, columns, note=note, height=len(parts) * (height + 60))
