"""The figures of agencies: rankings, premium against loss ratio, one agency over time, and segments."""

from __future__ import annotations

from typing import Literal

import altair as alt
import numpy as np
import pandas as pd

from quintet.insurance.chart_parts import (
    AGENCY,
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
    RETENTION,
    SEGMENTS,
    SHORT_AMOUNT,
    YEAR,
    colours_of,
    finite_measures,
    in_one_text,
    loss_ratio_of_all,
    no_figure,
    plain_rows,
    premium_in_words,
    scale_with_room,
    short_years_note,
    span_of,
    with_gaps,
    with_lines,
    with_years,
    years_axis,
)
from quintet.presentation.design import CURRENCY, Column, Figure, compact, format_value, tooltips
from quintet.presentation.wording import counted

MOST_SHOWN_LOSS_RATIO = 1.5
"""The end of the scatter's scale; agencies above are drawn at its edge."""
RANKED = 20
"""The number of agencies at each end of a ranking."""
_NAMED = 6
_NARROW_PLOT, _WIDE_PLOT = 260, 640
"""Widths of the scatter, px, for which its labels are kept apart: a phone's, and the least of a screen's."""
_SCATTER_PLOT_HEIGHT = 300
_LABEL_LINE, _LABEL_DIGIT = 16, 8


def agencies_ranked(
    summary: pd.DataFrame,
    end: Literal["top", "bottom"] = "top",
    by: Literal["written_premium", "growth_rate"] = "written_premium",
    count: int = RANKED,
) -> Figure:
    """Draw the `count` agencies with the most or the least, as bars. summary: one row per agency."""
    summary = finite_measures(summary)
    measure = PREMIUM if by == "written_premium" else GROWTH
    name = f"agencies-{end}-by-{by.replace('_', '-')}"
    columns = (AGENCY, PREMIUM, GROWTH, LOSS_RATIO, RETENTION, POLICIES)
    known = summary.dropna(subset=[by]) if by in summary else summary
    if measure is PREMIUM and end == "bottom" and len(known):
        known = known[known[by] > 0]  # otherwise agencies without premium fill the list
    ranked = known.sort_values([by, "agency_id"], ascending=[end == "bottom", True]) if len(known) else known
    # a small selection is one ranking: its other end only has what the first leaves
    shown = ranked.head(count if end == "top" else min(count, max(len(known) - count, 0)))
    which = ("Largest" if end == "top" else "Smallest") if measure is PREMIUM else ("Fastest", "Slowest")[end != "top"]
    unit = f"written premium, {CURRENCY}" if measure is PREMIUM else "growth on the year before, %"
    is_whole = len(shown) == len(known)
    some = f"{which} {len(shown)} of {counted(len(known), 'agency')}"
    of_all = f"{'All ' if len(known) > 1 else ''}{counted(len(known), 'agency')}"
    title = f"{of_all if is_whole else some} by {unit}"
    if known.empty:
        return no_figure(name, title, shown, columns, NO_ROWS)
    if shown.empty:
        reason = f"The other ranking shows {of_all.lower()} of this selection."
        return no_figure(name, title, shown, columns, reason)
    height = 21 * len(shown) + 16
    shown = shown.assign(
        text=[
            f"{compact(value) if measure is PREMIUM else format_value(value, 'change')}" for value in shown[by]
        ],
        label_at=shown[by].clip(lower=0),
    )  # fmt: skip
    order = shown["agency_id"].astype(str).tolist()
    y = alt.Y("agency_id:N", title=None, sort=order, scale=alt.Scale(paddingInner=0.32))
    base = alt.Chart(plain_rows(shown, columns, "text", "label_at"))
    x = alt.X(f"{by}:Q", axis=None, scale=scale_with_room(shown[by], 1.16))
    bars = base.mark_bar().encode(x=x, y=y, tooltip=tooltips(columns))
    labels = base.mark_text(style="label", align="left", dx=5).encode(x="label_at:Q", y=y, text="text:N")
    at_the_cut = int((known[by] == shown[by].iloc[-1]).sum())
    cut_off = at_the_cut - int((shown[by] == shown[by].iloc[-1]).sum())
    tied, left_out = int(shown.duplicated(by, keep=False).sum()), len(summary) - len(known)
    unit_left_out = "premium above zero" if measure is PREMIUM else "premium in the year before"
    note = in_one_text(
        f"{cut_off:,} more tie with the last one shown; the lower agency number goes first." if cut_off else "",
        f"{tied} of these share their value with another." if tied and not cut_off else "",
        f"Left out: {counted(left_out, 'agency')} without {unit_left_out}." if left_out else "",
    )
    first = shown.iloc[0]
    alternative = (
        f"Agency {first['agency_id']} comes first with {_in_words(first[by], measure)}; "
        f"the last of these {len(shown)} has {_in_words(shown[by].iloc[-1], measure)}."
    )
    if measure is PREMIUM and end == "top":
        share = shown[by].sum() / known[by].sum() if known[by].sum() > 0 else float("nan")
        alternative += f" Together they write {format_value(share, 'percent')} of the premium."
    chart = alt.layer(bars, labels).properties(height=height)
    return Figure(name, title, alternative, chart, shown, columns, note=note, height=height)


def agency_scatter(summary: pd.DataFrame) -> Figure:
    """Draw premium against loss ratio, one dot per agency. summary: one row per agency, with `segment` where known."""
    summary = finite_measures(summary)
    name, height = "agencies-premium-and-loss-ratio", 420
    has_segments = "segment" in summary and summary["segment"].notna().any()
    segment = (Column("segment", "Segment"),) if has_segments else ()
    columns = (AGENCY, *segment, PREMIUM, LOSSES, LOSS_RATIO, GROWTH, RETENTION, POLICIES)
    title = f"Loss ratio of each agency against its written premium, {CURRENCY}, log scale"
    known = summary.dropna(subset=["written_premium", "loss_ratio"]) if len(summary) else summary
    known = known[known["written_premium"] > 0] if len(known) else known
    table = known.sort_values("written_premium", ascending=False) if len(known) else known
    if known.empty:
        return no_figure(name, title, table, columns, NO_ROWS)
    together = loss_ratio_of_all(summary)
    known = known.assign(
        shown=known["loss_ratio"].clip(0, MOST_SHOWN_LOSS_RATIO),
        is_beyond=~known["loss_ratio"].between(0, MOST_SHOWN_LOSS_RATIO),
    )
    beyond, left_out = int(known["is_beyond"].sum()), len(summary) - len(known)
    # the scale ends at the worst agency
    highest = max(float(known["shown"].max()) * 1.05, 1.0)
    shown_on_hover = tooltips(columns)
    x = alt.X(
        "written_premium:Q",
        scale=alt.Scale(type="log", domain=_decades(known["written_premium"]), nice=False, padding=16),
        axis=alt.Axis(
            title=f"Written premium, {CURRENCY}",
            labelExpr=SHORT_AMOUNT,
            values=[10.0**power for power in range(15)],
            tickCount=15,
            grid=True,
            titleAnchor="end",
        ),
    )
    y = alt.Y(
        "shown:Q",
        scale=alt.Scale(domain=[0, highest], nice=False, padding=8),
        axis=alt.Axis(title="Loss ratio", format=".0%", grid=True),
    )
    sized = known.assign(size=known["policies_in_force"].fillna(0))
    sizes = [0.0, max(float(sized["size"].max()), 1.0)]
    dots = alt.Chart(plain_rows(sized, columns, "shown", "is_beyond", "size")).encode(
        x=x,
        y=y,
        size=alt.Size("size:Q", scale=alt.Scale(domain=sizes, range=[24, 520]), legend=None),
        tooltip=shown_on_hover,
    )
    if has_segments:
        scale, shown = colours_of(known["segment"], SEGMENTS)
        legend = alt.Legend(values=shown, columns=4)
        dots = dots.encode(color=alt.Color("segment:N", scale=scale, legend=legend))
    inside = dots.transform_filter("!datum.is_beyond").mark_point(opacity=0.72, shape="circle")
    outside = dots.transform_filter("datum.is_beyond").mark_point(opacity=0.9, shape="triangle", filled=False)
    reference = alt.Chart(
        pd.DataFrame({"ratio": [together], "text": [f"all together {format_value(together, 'percent')}"]})
    )
    line = reference.mark_rule(style="reference").encode(y="ratio:Q")
    words = reference.mark_text(style="label", align="left", dy=-7, dx=4).encode(
        x=alt.value(0), y="ratio:Q", text="text:N"
    )
    heaviest = known.assign(over=known["incurred_losses"] - together * known["written_premium"]).nlargest(
        _NAMED, "over"
    )
    heaviest = heaviest[heaviest["over"] > 0]
    heaviest = heaviest.assign(is_for_all=_apart(heaviest, known, highest, together, _NARROW_PLOT))
    heaviest = heaviest[_apart(heaviest, known, highest, together, _WIDE_PLOT) | heaviest["is_for_all"]]
    names = (
        alt.Chart(plain_rows(heaviest, (AGENCY, PREMIUM), "shown", "is_for_all"))
        .mark_text(
            style="label-strong", dy=-15, opacity=alt.ExprRef(f"datum.is_for_all || width >= {_WIDE_PLOT} ? 1 : 0")
        )
        .encode(x=x, y=y, text="agency_id:N")
    )
    losing = int((known["loss_ratio"] > 1).sum())
    note = in_one_text(
        "A larger dot has more policies in force.",
        "Named are those whose losses exceed the common ratio by most USD, where there is space."
        if len(heaviest)
        else "",
        f"{beyond} with a loss ratio below 0 or above {MOST_SHOWN_LOSS_RATIO:.0%} are triangles at the edge."
        if beyond
        else "",
        f"Left out because no premium is above zero: {counted(left_out, 'agency')} without a loss ratio."
        if left_out
        else "",
    )
    alternative = f"{losing:,} of {counted(len(known), 'agency')} lost more than they wrote" + (
        f"; the loss ratio of all together is {format_value(together, 'percent')}." if pd.notna(together) else "."
    )
    chart = alt.layer(line, inside, outside, words, names).properties(height=height)
    return Figure(name, title, alternative, chart, table, columns, note=note, height=height)


def _decades(values: pd.Series) -> list[float]:
    """Return the ends of a logarithmic axis: of the values, or of their decade where no power of ten is among them.

    values: above zero. An axis of the data alone has no end where a layer is empty, and no tick within a decade.
    """
    least, most = float(values.min()), float(values.max())
    decade = 10.0 ** np.floor(np.log10(least))
    return [least, most] if least < 10 * decade <= most else [decade, 10 * decade]


def _apart(named: pd.DataFrame, drawn: pd.DataFrame, highest: float, together: float, width: int) -> pd.Series:
    """Return which labels, in their order, neither overlap an earlier one nor the label of the common ratio.

    named: agencies to label. drawn: all agencies of the chart. highest: the end of the scale of loss ratios. width: px.
    """
    logs = np.log10(drawn["written_premium"].to_numpy(dtype=float))
    low, span = logs.min(), np.ptp(logs) or 1.0
    common = f"all together {format_value(together, 'percent')}"
    taken = [
        (len(common) * _LABEL_DIGIT / 2, together / highest * _SCATTER_PLOT_HEIGHT, len(common) * _LABEL_DIGIT / 2)
    ]
    kept = []
    for agency, premium, ratio in zip(named["agency_id"], named["written_premium"], named["shown"], strict=True):
        x = (np.log10(float(premium)) - low) / span * width
        y, half = ratio / highest * _SCATTER_PLOT_HEIGHT, len(str(agency)) * _LABEL_DIGIT / 2
        is_free = all(abs(x - left) >= half + other or abs(y - top) >= _LABEL_LINE for left, top, other in taken)
        kept.append(is_free)
        if is_free:
            taken.append((x, y, half))
    return pd.Series(kept, index=named.index, dtype=bool)


def agency_history(summary: pd.DataFrame) -> Figure:
    """Draw premium and loss ratio of one agency on one time axis. summary: by prod_line and year, of this agency."""
    summary = finite_measures(summary)
    name, heights = "agency-history", (200, 150)
    columns = (YEAR, LINE, PREMIUM, NEW_BUSINESS, LOSSES, LOSS_RATIO, RETENTION, GROWTH, POLICIES, MONTHS)
    rows = with_years(with_lines(summary))
    title = f"Written premium, {CURRENCY}, and loss ratio of this agency by line{span_of(rows)}"
    table = rows.sort_values(["year", "line"], ascending=[False, True])
    if rows["written_premium"].dropna().empty:
        return no_figure(name, title, table, columns, NO_ROWS)
    rows = rows.assign(shown=rows["loss_ratio"].clip(0, 2))
    first, last = int(rows["year"].min()), int(rows["year"].max())
    premium_cursor, ratio_cursor = (
        alt.selection_point(
            name=name, fields=["year"], on="pointermove", nearest=True, empty=False, clear="pointerleave"
        )
        for name in ("premium_cursor", "ratio_cursor")
    )
    # under the pointer of either panel both show the year
    under_pointer = alt.condition(premium_cursor | ratio_cursor, alt.value(1), alt.value(0))
    scale, shown = colours_of(rows["line"], LINE_NAMES)
    color = alt.Color("line:N", scale=scale, legend=alt.Legend(symbolType="circle", values=shown))
    data = plain_rows(rows, columns, "is_short", "shown")
    joined = plain_rows(with_gaps(rows[~rows["is_short"]]), (LINE, YEAR, PREMIUM), "shown")
    shown_on_hover = tooltips(columns)

    x = years_axis(first, last)

    def panel(title: str, height: int, y: alt.Y, cursor: alt.Parameter) -> alt.LayerChart | alt.FacetChart:
        base = alt.Chart(data).encode(x=x, y=y, color=color)
        is_complete, is_short = base.transform_filter("!datum.is_short"), base.transform_filter("datum.is_short")
        lines = alt.Chart(joined).mark_line().encode(x=x, y=y, color=color)
        rule = alt.Chart(data).mark_rule(style="cursor").encode(x=x, opacity=under_pointer).add_params(cursor)
        return alt.layer(
            rule,
            lines,
            is_complete.mark_point().encode(tooltip=shown_on_hover),
            is_short.mark_point(filled=False).encode(tooltip=shown_on_hover),
        ).properties(height=height, title=title)

    amount = alt.Y("written_premium:Q", axis=alt.Axis(labelExpr=SHORT_AMOUNT, grid=True), title=None)
    ends = alt.Undefined if rows["shown"].notna().any() else alt.Scale(domain=[0, 1])  # an axis needs some ends
    share = alt.Y("shown:Q", axis=alt.Axis(format=".0%", grid=True, tickCount=4), scale=ends, title=None)
    chart = alt.vconcat(
        panel(f"Written premium, {CURRENCY}", heights[0], amount, premium_cursor),
        panel("Loss ratio", heights[1], share, ratio_cursor),
    )
    alternative = premium_in_words(rows)
    note = in_one_text(
        "Loss ratios below 0 or above 200% are drawn at the edge."
        if (~rows["loss_ratio"].dropna().between(0, 2)).any()
        else "",
        short_years_note(rows, "hollow and not joined to the line"),
    )
    return Figure(name, title, alternative, chart, table, columns, note=note, height=sum(heights) + 156)


def segments(frame: pd.DataFrame) -> Figure:
    """Draw agencies and premium by segment. frame: segment, rule (in words), agencies, written_premium, loss_ratio."""
    name = "agency-segments"
    columns = (
        Column("segment", "Segment"),
        Column("rule", "Rule"),
        Column("agencies", "Agencies", "count"),
        PREMIUM,
        LOSS_RATIO,
    )
    title = f"Written premium of each segment of agencies, {CURRENCY}"
    if frame.empty:
        return no_figure(name, title, frame, columns, NO_ROWS)
    rows = frame.sort_values("written_premium", ascending=False)
    rows = rows.assign(
        text=[
            f"{compact(premium)} · {counted(agencies, 'agency')}"
            for premium, agencies in zip(rows["written_premium"], rows["agencies"], strict=True)
        ],
        label_at=rows["written_premium"].clip(lower=0),
    )
    height = 40 * len(rows) + 24
    y = alt.Y("segment:N", title=None, sort=rows["segment"].tolist(), axis=None, scale=alt.Scale(paddingInner=0.62))
    base = alt.Chart(plain_rows(rows, columns, "text", "label_at"))
    bars = base.mark_bar(yOffset=8).encode(
        x=alt.X("written_premium:Q", axis=None, scale=scale_with_room(rows["written_premium"], 1.02)),
        y=y,
        color=alt.Color("segment:N", scale=colours_of(rows["segment"], SEGMENTS)[0], legend=None),
        tooltip=tooltips(columns),
    )
    names = base.mark_text(style="label-strong", align="left", baseline="bottom", dy=-2).encode(
        x=alt.value(0), y=y, text="segment:N"
    )
    words = base.mark_text(style="label", align="right", baseline="bottom", dy=-2).encode(
        x=alt.value("width"), y=y, text="text:N"
    )
    first, total = rows.iloc[0], rows["written_premium"].sum()
    alternative = (
        f"{first['segment']} writes the most: {compact(first['written_premium'], CURRENCY)} by {first['agencies']:,} "
        f"of {counted(rows['agencies'].sum(), 'agency')}"
        + (f", {first['written_premium'] / total:.1%} of the premium." if total > 0 else ".")
    )
    chart = alt.layer(bars, names, words).properties(height=height)
    return Figure(name, title, alternative, chart, rows, columns, height=height)


def _in_words(value: float, column: Column) -> str:
    return compact(value, column.unit) if column.kind == "money" else format_value(value, column.kind)
