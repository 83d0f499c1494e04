"""The figures of premium and losses: each a chart with its table and a sentence with its main number.

Of an empty frame every function returns a figure without a chart, with a note on what to do. Ratios come with the
frame, recomputed from sums; none is computed from ratios here. Amounts are USD.
"""

from __future__ import annotations

import altair as alt
import pandas as pd

from quintet.insurance.chart_parts import (
    GROWTH,
    LINE,
    LINE_NAMES,
    LOSS_RATIO,
    LOSSES,
    MONTHS,
    NEW_BUSINESS,
    NO_ROWS,
    POLICIES,
    PREMIUM,
    PREMIUM_AXIS,
    RETENTION,
    YEAR,
    YEAR_AXIS,
    colours_of,
    finite_measures,
    if_wide,
    in_one_text,
    loss_ratio_of_all,
    no_figure,
    plain_rows,
    premium_in_words,
    short_years_note,
    span_of,
    with_lines,
    with_years,
    year_labels,
)
from quintet.presentation.design import CURRENCY, STRONG_CLASSES, Column, Figure, compact, format_value, tooltips

LOSS_RATIO_CLASSES = (0.4, 0.6, 0.8, 1.0)
"""The bounds of the classes of loss ratios; at 1 the losses equal the premium."""
LEAST_PREMIUM_USD = 50_000
"""Below this written premium a single claim dominates the loss ratio."""


def premium_by_year_and_line(summary: pd.DataFrame) -> Figure:
    """Draw written premium as stacked bars. summary: one row per prod_line and year."""
    summary = finite_measures(summary)
    name, height = "premium-by-year-and-line", 340
    columns = (YEAR, LINE, PREMIUM, NEW_BUSINESS, LOSSES, LOSS_RATIO, RETENTION, GROWTH, POLICIES, MONTHS)
    rows = with_years(with_lines(summary)).dropna(subset=["written_premium"])
    title = f"Written premium by year and line, {CURRENCY}{span_of(rows)}"
    table = rows.sort_values(["year", "line"], ascending=[False, True])
    if rows.empty:
        return no_figure(name, title, table, columns, NO_ROWS)
    totals = rows.groupby("year_label", as_index=False).agg(
        written_premium=("written_premium", "sum"),
        # the label stands on the positive part of the stack
        top=("written_premium", lambda amounts: amounts.clip(lower=0).sum()),
    )
    totals["text"] = totals["written_premium"].map(compact)
    x = alt.X("year_label:O", axis=YEAR_AXIS, sort=year_labels(rows), scale=alt.Scale(paddingInner=0.28))
    line, shown = colours_of(rows["line"], LINE_NAMES)
    legend = alt.Legend(values=shown)
    bars = (
        alt.Chart(plain_rows(rows, columns, "year_label", "is_short", "place"))
        .mark_bar(strokeWidth=1.5)
        .encode(
            x=x,
            y=alt.Y("written_premium:Q", axis=PREMIUM_AXIS, stack="zero"),
            fill=alt.Fill("line:N", scale=line, legend=legend),
            stroke=alt.Stroke("line:N", scale=line, legend=legend),
            fillOpacity=alt.condition("datum.is_short", alt.value(0.06), alt.value(1)),
            order=alt.Order("place:Q"),
            tooltip=tooltips(columns),
        )
    )
    labels = (
        alt.Chart(plain_rows(totals, (), "year_label", "top", "text"))
        .mark_text(style="label", dy=-7, opacity=if_wide(1, 0))
        .encode(x=x, y="top:Q", text="text:N")
    )
    return Figure(
        name, title, premium_in_words(rows), alt.layer(bars, labels).properties(height=height), table, columns,
        note=short_years_note(rows, "hollow"), height=height,
    )  # fmt: skip


def loss_ratio_by_state_and_year(summary: pd.DataFrame) -> Figure:
    """Draw loss ratios as a heatmap in classes. summary: one row per state and year."""
    summary = finite_measures(summary)
    name = "loss-ratio-by-state-and-year"
    columns = (Column("state_abbr", "State"), YEAR, LOSS_RATIO, PREMIUM, LOSSES, POLICIES, MONTHS)
    rows = with_years(summary)
    title = f"Loss ratio by state and year, losses by written premium{span_of(rows)}"
    table = rows.sort_values(["state_abbr", "year"], ascending=[True, False])
    known = rows.dropna(subset=["loss_ratio"])
    if known.empty:
        return no_figure(name, title, table, columns, NO_ROWS)
    known = known.assign(
        is_faint=known["written_premium"] < LEAST_PREMIUM_USD,
        is_strong=known["loss_ratio"] >= LOSS_RATIO_CLASSES[-STRONG_CLASSES],
    )
    states = known.groupby("state_abbr")["written_premium"].sum().sort_values(ascending=False).index.tolist()
    height = 34 * len(states) + 70
    cells = alt.Chart(plain_rows(known, columns, "year_label", "is_faint", "is_strong")).encode(
        x=alt.X("year_label:O", axis=YEAR_AXIS, sort=year_labels(rows), scale=alt.Scale(padding=0.04)),
        y=alt.Y("state_abbr:N", title=None, sort=states, scale=alt.Scale(padding=0.08)),
    )
    coloured = (
        cells.transform_filter("!datum.is_faint")
        .mark_rect(cornerRadius=2)
        .encode(
            color=alt.Color(
                "loss_ratio:Q",
                scale=alt.Scale(type="threshold", domain=list(LOSS_RATIO_CLASSES), range="heatmap"),
                legend=alt.Legend(title=None, format=".0%", gradientLength=200, gradientThickness=10, offset=8),
            ),
            tooltip=tooltips(columns),
        )
    )
    faint = (
        cells.transform_filter("datum.is_faint")
        .mark_rect(style="faint-cell", cornerRadius=2)
        .encode(tooltip=tooltips(columns))
    )
    size = if_wide(12, 9)
    words = cells.transform_filter("!datum.is_faint").encode(text=alt.Text("loss_ratio:Q", format=".0%"))
    on_weak = words.transform_filter("!datum.is_strong").mark_text(style="label-on-cell", fontSize=size)
    on_strong = words.transform_filter("datum.is_strong").mark_text(style="label-on-strong-cell", fontSize=size)
    note = in_one_text(
        f"The strongest class holds all from {LOSS_RATIO_CLASSES[-1]:.0%} on, where losses take the whole premium.",
        f"Dashed cells have less than {LEAST_PREMIUM_USD:,} {CURRENCY} of premium: one claim moves their ratio too far "
        "to colour it."
        if known["is_faint"].any()
        else "",
        "A gap is a year without premium to divide by." if len(known) < len(states) * known["year"].nunique() else "",
        short_years_note(rows, "named with their months"),
    )
    chart = alt.layer(coloured, faint, on_weak, on_strong).properties(height=height)
    return Figure(name, title, _loss_ratios_in_words(rows, known), chart, table, columns, note=note, height=height)


def _loss_ratios_in_words(rows: pd.DataFrame, known: pd.DataFrame) -> str:
    heavy = known[~known["is_faint"]]
    text = f"All states together: {format_value(loss_ratio_of_all(rows), 'percent')}."
    if len(heavy):
        worst = heavy.nlargest(1, "loss_ratio").iloc[0]
        text += f" Highest: {worst['state_abbr']} in {worst['year']}, {worst['loss_ratio']:.1%}."
    return text
