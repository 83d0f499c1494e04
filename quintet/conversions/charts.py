"""The figures of funnel, outcomes and rates: each a chart with its table and a sentence with its main number.

Of an empty frame every function returns a figure without a chart, with a note on what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import altair as alt
import pandas as pd

from quintet.conversions.chart_parts import (
    LABEL_LIMIT,
    PERCENT_AXIS,
    bars_of,
    label_scale,
    level_label,
    lower_first,
    no_figure,
    plain_rows,
)
from quintet.conversions.insights import DIMENSIONS, Measure, country_name
from quintet.presentation.design import Column, Figure, Kind, dots_on_intervals, format_value, tooltips
from quintet.presentation.scales import line_scale
from quintet.presentation.wording import counted

SHOWN_LEVELS = 15
"""The number of levels drawn, largest first; the table has all of them."""
SIDES: Mapping[str, str] = MappingProxyType({"clicks": "Conversions", "broker_rows": "Broker rows"})
STEPS: Mapping[str, str] = MappingProxyType(
    {
        "all": "All",
        "in_reach": "In time span and countries",
        "with_candidate": "With a candidate within the lag",
        "matched": "Matched",
        "scored": "With a valid score",
        "important": "Customers",
    }
)
OUTCOMES: Mapping[str, str] = MappingProxyType(
    {
        "matched": "Matched",
        "matched_elsewhere": "Matched with another partner",
        "in_review": "In review",
        "outside_time_span": "Outside the other side's time span",
        "no_candidate": "No candidate",
        "country_never_seen": "Country never seen on the other side",
        "country_unknown": "Country unknown",
        "lost_to_better": "Likeliest candidate matched to another",
        "below_threshold": "Below the threshold",
        "partner_not_learned": "Model not trained on the partner yet",
    }
)
_TITLES: Mapping[Measure, str] = MappingProxyType(
    {
        "match_rate": "Sessions matched",
        "important_share": "Matched sessions with an important score",
        "mean_score": "Mean score of matched sessions",
    }
)


def funnel(steps: pd.DataFrame, side: str) -> Figure:
    """Draw the rows of a side by step of the funnel, as bars. steps: dbt's `conversion_funnel`."""
    columns = (Column("label", "Step"), Column("rows", SIDES[side], "count"), Column("share", "Share", "percent"))
    rows = steps[steps["side"] == side].reset_index(drop=True)
    rows = rows.assign(label=rows["step"].map(STEPS))
    title = f"{SIDES[side]} from all to matched"
    every = int(rows["rows"].max()) if len(rows) else 0
    if not every:
        return no_figure(f"funnel-{side}", title, rows, columns)
    reached = rows.set_index("step")
    matched = reached.loc["matched"]
    alternative = f"{matched['rows']:,} of {every:,} {SIDES[side].lower()} are matched, {matched['share']:.1%}"
    if "important" in reached.index:
        alternative += f"; {counted(int(rows['rows'].iloc[-1]), 'has', 'have')} an important score"
    alternative += "."
    return bars_of(f"funnel-{side}", title, alternative, rows, columns)


def outcomes(frame: pd.DataFrame, side: str) -> Figure:
    """Draw the reasons of unmatched rows of a side, as bars. frame: dbt's `conversion_outcomes`."""
    columns = (Column("label", "Reason"), Column("rows", SIDES[side], "count"), Column("share", "Share", "percent"))
    rows = frame[(frame["side"] == side) & (frame["outcome"] != "matched")].reset_index(drop=True)
    rows = rows.assign(label=rows["outcome"].map(lambda name: OUTCOMES.get(name, name)))
    title = f"{SIDES[side]} without a match, by reason"
    if rows.empty:
        return no_figure(f"unmatched-{side}", title, rows, columns)
    first = rows.iloc[0]
    alternative = f"{rows['rows'].sum():,} are not matched; the most frequent reason: {first['label'].lower()}, "
    alternative += f"{first['rows']:,} ({first['share']:.1%} of all {SIDES[side].lower()})."
    return bars_of(f"unmatched-{side}", title, alternative, rows, columns)


def rates_by(rates: pd.DataFrame, measure: Measure, dimension: str, count: int = SHOWN_LEVELS) -> Figure:
    """Draw a measure by the largest levels of a dimension, with 95% intervals and the overall mean.

    rates: as `analysis.rates` returns it. Filled points differ from the rest, among equals and after correction.
    """
    columns = _rate_columns(measure, dimension)
    rows = rates[(rates["measure"] == measure) & (rates["dimension"] == dimension)]
    title = f"{_TITLES[measure]} by {lower_first(DIMENSIONS[dimension])}, with 95% interval"
    name = f"{measure.replace('_', '-')}-by-{dimension.replace('_', '-')}"
    shown = rows.dropna(subset=["low", "high"]).nlargest(count, "n")
    if shown.empty:
        return no_figure(name, title, rows, columns)
    shown = shown.assign(label=[level_label(dimension, level) for level in shown["level"]], text=_short(shown, measure))
    shown = shown.sort_values(["mean", "label"], ascending=[False, True], ignore_index=True)
    overall = float(rows["total"].sum() / rows["n"].sum())
    y = alt.Y(
        "label:N",
        title=None,
        sort=shown["label"].tolist(),
        axis=alt.Axis(labelLimit=LABEL_LIMIT),
    )
    base = alt.Chart(plain_rows(shown, columns, "label", "text", "low", "high", "is_finding", "mean"))
    axis = alt.Axis(title=None, grid=True, labelOverlap="greedy") if measure == "mean_score" else PERCENT_AXIS
    least = float(shown["low"].min()) if measure == "match_rate" else min(0.0, float(shown["low"].min()))
    x = alt.X("low:Q", axis=axis, scale=label_scale(least, float(shown["high"].max())))
    lines = base.mark_rule(strokeWidth=2, opacity=0.45).encode(x=x, x2="high:Q", y=y, tooltip=tooltips(columns))
    # an empty layer would leave its axis without an extent
    points = [
        base.transform_filter(alt.datum.is_finding == is_finding)
        .mark_point(filled=is_finding)
        .encode(x="mean:Q", y=y, tooltip=tooltips(columns))
        for is_finding in (False, True)
        if (shown["is_finding"] == is_finding).any()
    ]
    reference = (
        alt.Chart(pd.DataFrame({"overall": [round(overall, 6)]})).mark_rule(style="reference").encode(x="overall:Q")
    )
    words = base.mark_text(style="label", align="left", dx=6).encode(x="high:Q", y=y, text="text:N")
    height = 22 * len(shown) + 20
    kind: Kind = "decimal" if measure == "mean_score" else "percent"
    best, worst = shown.iloc[0], shown.iloc[-1]
    alternative = (
        f"Of the {len(shown)} largest, {best['label']} is highest with {format_value(best['mean'], kind)} and "
        f"{worst['label']} lowest with {format_value(worst['mean'], kind)}; all together: "
        f"{format_value(overall, kind)}."
    )
    left_out = len(rows) - len(shown)
    note = "Filled: differs from the rest, among its equals and after correction for many comparisons. " + (
        f"The {left_out} smaller ones are in the table." if left_out else ""
    )
    chart = alt.layer(reference, lines, *points, words).properties(height=height)
    table = rows.assign(label=[level_label(dimension, level) for level in rows["level"]])
    return Figure(name, title, alternative, chart, table, columns, note=note.strip(), height=height)


def match_rate_by_day(rates: pd.DataFrame) -> Figure:
    """Draw the match rate by day, as a line with its 95% band. rates: as `analysis.rates` returns it."""
    columns = _rate_columns("match_rate", "day")
    rows = rates[(rates["measure"] == "match_rate") & (rates["dimension"] == "day")].sort_values("level")
    rows = rows.assign(label=rows["level"]).reset_index(drop=True)
    title = "Sessions matched by day, with 95% interval"
    if rows.empty:
        return no_figure("match-rate-by-day", title, rows, columns)
    x = alt.X(
        "label:O",
        axis=alt.Axis(title=None, labelExpr="slice(datum.label, 5)", labelAngle=0, labelOverlap="greedy"),
    )
    base = alt.Chart(plain_rows(rows, columns, "label", "low", "high", "mean"))
    scale, at_zero = line_scale([*rows["low"], *rows["high"]], "axis")
    band = base.mark_area(style="interval-95", line=False).encode(
        x=x, y=alt.Y("low:Q", axis=PERCENT_AXIS, scale=scale), y2="high:Q"
    )
    line = base.mark_line(point=True).encode(x=x, y=alt.Y("mean:Q", scale=scale), tooltip=tooltips(columns))
    worst = rows.nsmallest(1, "mean").iloc[0]
    overall = rows["total"].sum() / rows["n"].sum()
    alternative = f"{overall:.1%} over all days; lowest on {worst['level']} with {worst['mean']:.1%}."
    note = f"{at_zero} Conversions outside the broker's time span are excluded.".strip()
    return Figure(
        *("match-rate-by-day", title, alternative, alt.layer(band, line).properties(height=220), rows, columns),
        note=note,
        height=220,
    )


def residency(frame: pd.DataFrame, count: int = SHOWN_LEVELS) -> Figure:
    """Draw the share of sessions whose residency differs from the IP country. frame: as `analysis.residency`."""
    columns = (
        Column("label", "IP country"),
        Column("n", "Sessions", "count"),
        Column("mean", "Reside elsewhere", "percent"),
        Column("low", "From", "percent"),
        Column("high", "To", "percent"),
        Column("other", "Most often in"),
    )
    rows = frame.assign(
        label=[country_name(code) for code in frame["ip_iso2"]],
        other=frame["commonest"].map(country_name, na_action="ignore"),
    )
    title = "Sessions whose residency differs from their IP country, by IP country, with 95% interval"
    if rows.empty:
        return no_figure("residency", title, rows, columns)
    shown = rows.nlargest(count, "n").sort_values(["mean", "label"], ascending=[False, True], ignore_index=True)
    shown = shown.assign(text=[f"{mean:.1%} of {n:,}" for mean, n in zip(shown["mean"], shown["n"], strict=True)])
    base = alt.Chart(plain_rows(shown, columns, "text"))
    y = alt.Y("label:N", title=None, sort=shown["label"].tolist(), axis=alt.Axis(labelLimit=LABEL_LIMIT))
    x = alt.X("low:Q", axis=PERCENT_AXIS, scale=label_scale(0.0, float(shown["high"].max())))
    shares = dots_on_intervals(base, x, "high", "mean", y=y, tooltip=tooltips(columns))
    words = base.mark_text(style="label", align="left", dx=6).encode(x="high:Q", y=y, text="text:N")
    first, overall = shown.iloc[0], rows["total"].sum() / rows["n"].sum()
    alternative = f"{overall:.1%} of all; of the {len(shown)} largest most often with an IP of {first['label']}: "
    alternative += f"{first['mean']:.1%}."
    height = 22 * len(shown) + 20
    chart = alt.layer(*shares, words).properties(height=height)
    note = "Only matched sessions that state a residency."
    return Figure("residency", title, alternative, chart, rows, columns, note=note, height=height)


def _rate_columns(measure: Measure, dimension: str) -> tuple[Column, ...]:
    kind: Kind = "decimal" if measure == "mean_score" else "percent"
    return (
        Column("label", DIMENSIONS[dimension]),
        Column("n", "Sessions", "count"),
        Column("rows", "Rows", "count"),
        Column("mean", "Mean" if measure == "mean_score" else "Share", kind),
        Column("low", "From", kind),
        Column("high", "To", kind),
        Column("adjusted", "Among equals", "decimal" if measure == "mean_score" else "change"),
        Column("q_value", "q", "decimal"),
    )


def _short(rows: pd.DataFrame, measure: Measure) -> list[str]:
    pattern = ".2f" if measure == "mean_score" else ".1%"
    return [f"{mean:{pattern}} of {n:,}" for mean, n in zip(rows["mean"], rows["n"], strict=True)]
