"""The insurance figures: each a chart with its table and a sentence with its main number.

Of an empty frame every function returns a figure without a chart, with a note on what to do. Ratios come with the
frame, recomputed from sums; none is computed from ratios here. Amounts are USD.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal

import altair as alt
import pandas as pd

from quintet.presentation.design import CURRENCY, PHONE, STRONG_CLASSES, Column, Figure, compact, format_value, tooltips

LINES = {"CL": "Commercial (CL)", "PL": "Personal (PL)"}
"""The product lines in the order of their colours, which is the same in every chart."""

_LINE_NAMES = tuple(LINES.values())

SEGMENTS = ("grow", "keep", "repair", "revive", "invest", "retain", "watch", "dormant")
"""The segments of agencies in the order of their colours."""

LOSS_RATIO_CLASSES = (0.4, 0.6, 0.8, 1.0)
"""The bounds of the classes of loss ratios; at 1 the losses equal the premium."""

LEAST_PREMIUM_USD = 50_000
"""Below this written premium a single claim dominates the loss ratio."""

MOST_SHOWN_LOSS_RATIO = 1.5
"""The end of the scatter's scale; agencies above are drawn at its edge."""

RANKED = 20
"""The number of agencies at each end of a ranking."""

_NO_ROWS = (
    "No row fits these filters. Widen or reset them; if nothing has been loaded yet, drop an agency performance file "
    "into its inbox and run `make run`."
)
_NAMED = 6
_MEASURES = (
    *("written_premium", "new_business_premium", "incurred_losses", "loss_ratio", "retention_ratio", "growth_rate"),
    *("loss_ratio_numerator", "loss_ratio_denominator"),
)
_LABEL_HEIGHT = 30
_NO_FORECAST = "No forecast is published for this selection. Reset the filters, or run `make run SELECT=insurance`."

_SHORT_AMOUNT = "replace(format(datum.value, '~s'), 'G', 'B')"
_PREMIUM_AXIS = alt.Axis(title=f"Written premium, {CURRENCY}", labelExpr=_SHORT_AMOUNT, grid=True)
_YEAR_AXIS = alt.Axis(title=None, labelAngle=0, labelExpr="split(datum.label, '|')", labelOverlap="greedy")

_LINE = Column("line", "Line")
_YEAR = Column("year", "Year", "year")
_AGENCY = Column("agency_id", "Agency", "identifier")
_MONTHS = Column("months_covered", "Months", "count")
_PREMIUM = Column("written_premium", "Written premium", "money", CURRENCY)
_NEW_BUSINESS = Column("new_business_premium", "New business", "money", CURRENCY)
_LOSSES = Column("incurred_losses", "Incurred losses", "money", CURRENCY)
_LOSS_RATIO = Column("loss_ratio", "Loss ratio", "percent")
_RETENTION = Column("retention_ratio", "Retention", "percent")
_GROWTH = Column("growth_rate", "Growth", "change")
_POLICIES = Column("policies_in_force", "Policies in force", "count")


def premium_by_year_and_line(summary: pd.DataFrame) -> Figure:
    """Draw written premium as stacked bars. summary: one row per prod_line and year."""
    summary = _known(summary)
    name, height = "premium-by-year-and-line", 340
    columns = (_YEAR, _LINE, _PREMIUM, _NEW_BUSINESS, _LOSSES, _LOSS_RATIO, _RETENTION, _GROWTH, _POLICIES, _MONTHS)
    rows = _with_years(_with_lines(summary)).dropna(subset=["written_premium"])
    title = f"Written premium by year and line, {CURRENCY}{_span(rows)}"
    table = rows.sort_values(["year", "line"], ascending=[False, True])
    if rows.empty:
        return _empty(name, title, table, columns, _NO_ROWS)
    totals = rows.groupby("year_label", as_index=False).agg(
        written_premium=("written_premium", "sum"),
        # the label stands on the positive part of the stack
        top=("written_premium", lambda amounts: amounts.clip(lower=0).sum()),
    )
    totals["text"] = totals["written_premium"].map(compact)
    x = alt.X("year_label:O", axis=_YEAR_AXIS, sort=_year_labels(rows), scale=alt.Scale(paddingInner=0.28))
    line, shown = _colours(rows["line"], _LINE_NAMES)
    legend = alt.Legend(values=shown)
    bars = (
        alt.Chart(_plain(rows, columns, "year_label", "is_short", "place"))
        .mark_bar(strokeWidth=1.5)
        .encode(
            x=x,
            y=alt.Y("written_premium:Q", axis=_PREMIUM_AXIS, stack="zero"),
            fill=alt.Fill("line:N", scale=line, legend=legend),
            stroke=alt.Stroke("line:N", scale=line, legend=legend),
            fillOpacity=alt.condition("datum.is_short", alt.value(0.06), alt.value(1)),
            order=alt.Order("place:Q"),
            tooltip=tooltips(columns),
        )
    )
    labels = (
        alt.Chart(_plain(totals, (), "year_label", "top", "text"))
        .mark_text(style="label", dy=-7, opacity=_if_wide(1, 0))
        .encode(x=x, y="top:Q", text="text:N")
    )
    return Figure(
        name, title, _premium_in_words(rows), alt.layer(bars, labels).properties(height=height), table, columns,
        note=_short_years(rows, "hollow"), height=height,
    )  # fmt: skip


def loss_ratio_by_state_and_year(summary: pd.DataFrame) -> Figure:
    """Draw loss ratios as a heatmap in classes. summary: one row per state and year."""
    summary = _known(summary)
    name = "loss-ratio-by-state-and-year"
    columns = (Column("state_abbr", "State"), _YEAR, _LOSS_RATIO, _PREMIUM, _LOSSES, _POLICIES, _MONTHS)
    rows = _with_years(summary)
    title = f"Loss ratio by state and year, losses by written premium{_span(rows)}"
    table = rows.sort_values(["state_abbr", "year"], ascending=[True, False])
    known = rows.dropna(subset=["loss_ratio"])
    if known.empty:
        return _empty(name, title, table, columns, _NO_ROWS)
    known = known.assign(
        is_faint=known["written_premium"] < LEAST_PREMIUM_USD,
        is_strong=known["loss_ratio"] >= LOSS_RATIO_CLASSES[-STRONG_CLASSES],
    )
    states = known.groupby("state_abbr")["written_premium"].sum().sort_values(ascending=False).index.tolist()
    height = 34 * len(states) + 70
    cells = alt.Chart(_plain(known, columns, "year_label", "is_faint", "is_strong")).encode(
        x=alt.X("year_label:O", axis=_YEAR_AXIS, sort=_year_labels(rows), scale=alt.Scale(padding=0.04)),
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
    size = _if_wide(12, 9)
    words = cells.transform_filter("!datum.is_faint").encode(text=alt.Text("loss_ratio:Q", format=".0%"))
    on_weak = words.transform_filter("!datum.is_strong").mark_text(style="label-on-cell", fontSize=size)
    on_strong = words.transform_filter("datum.is_strong").mark_text(style="label-on-strong-cell", fontSize=size)
    note = _sentences(
        f"The strongest class holds all from {LOSS_RATIO_CLASSES[-1]:.0%} on, where losses take the whole premium.",
        f"Dashed cells have less than {LEAST_PREMIUM_USD:,} {CURRENCY} of premium: one claim moves their ratio too far "
        "to colour it."
        if known["is_faint"].any()
        else "",
        "A gap is a year without premium to divide by." if len(known) < len(states) * known["year"].nunique() else "",
        _short_years(rows, "named with their months"),
    )
    chart = alt.layer(coloured, faint, on_weak, on_strong).properties(height=height)
    return Figure(name, title, _loss_ratios_in_words(rows, known), chart, table, columns, note=note, height=height)


def agencies_ranked(
    summary: pd.DataFrame,
    end: Literal["top", "bottom"] = "top",
    by: Literal["written_premium", "growth_rate"] = "written_premium",
    count: int = RANKED,
) -> Figure:
    """Draw the `count` agencies with the most or the least, as bars. summary: one row per agency."""
    summary = _known(summary)
    measure = _PREMIUM if by == "written_premium" else _GROWTH
    name = f"agencies-{end}-by-{by.replace('_', '-')}"
    columns = (_AGENCY, _PREMIUM, _GROWTH, _LOSS_RATIO, _RETENTION, _POLICIES)
    known = summary.dropna(subset=[by]) if by in summary else summary
    if measure is _PREMIUM and end == "bottom" and len(known):
        known = known[known[by] > 0]  # otherwise agencies without premium fill the list
    ranked = known.sort_values([by, "agency_id"], ascending=[end == "bottom", True]) if len(known) else known
    shown = ranked.head(count)
    which = ("Largest" if end == "top" else "Smallest") if measure is _PREMIUM else ("Fastest", "Slowest")[end != "top"]
    unit = f"written premium, {CURRENCY}" if measure is _PREMIUM else "growth on the year before, %"
    title = f"{which} {len(shown)} of {len(known):,} agencies by {unit}"
    if shown.empty:
        return _empty(name, title, shown, columns, _NO_ROWS)
    if end == "bottom" and len(known) <= count:
        reason = f"All {len(known):,} agencies of this selection stand in the other ranking."
        return _empty(name, title, shown, columns, reason)
    height = 21 * len(shown) + 16
    shown = shown.assign(
        text=[
            f"{compact(value) if measure is _PREMIUM else format_value(value, 'change')}" for value in shown[by]
        ],
        label_at=shown[by].clip(lower=0),
    )  # fmt: skip
    order = shown["agency_id"].astype(str).tolist()
    y = alt.Y("agency_id:N", title=None, sort=order, scale=alt.Scale(paddingInner=0.32))
    base = alt.Chart(_plain(shown, columns, "text", "label_at"))
    x = alt.X(f"{by}:Q", axis=None, scale=_scale_with_room(shown[by], 1.16))
    bars = base.mark_bar().encode(x=x, y=y, tooltip=tooltips(columns))
    labels = base.mark_text(style="label", align="left", dx=5).encode(x="label_at:Q", y=y, text="text:N")
    at_the_cut = int((known[by] == shown[by].iloc[-1]).sum())
    cut_off = at_the_cut - int((shown[by] == shown[by].iloc[-1]).sum())
    tied, left_out = int(shown.duplicated(by, keep=False).sum()), len(summary) - len(known)
    unit_left_out = "premium above zero" if measure is _PREMIUM else "premium in the year before"
    note = _sentences(
        f"{cut_off:,} more tie with the last one shown; the lower agency number goes first." if cut_off else "",
        f"{tied} of these share their value with another." if tied and not cut_off else "",
        f"{left_out:,} agencies without {unit_left_out} are left out." if left_out else "",
    )
    first = shown.iloc[0]
    alternative = (
        f"Agency {first['agency_id']} comes first with {_in_words(first[by], measure)}; "
        f"the last of these {len(shown)} has {_in_words(shown[by].iloc[-1], measure)}."
    )
    if measure is _PREMIUM and end == "top":
        share = shown[by].sum() / known[by].sum() if known[by].sum() > 0 else float("nan")
        alternative += f" Together they write {format_value(share, 'percent')} of the premium."
    chart = alt.layer(bars, labels).properties(height=height)
    return Figure(name, title, alternative, chart, shown, columns, note=note, height=height)


def agency_scatter(summary: pd.DataFrame) -> Figure:
    """Draw premium against loss ratio, one dot per agency. summary: one row per agency, with `segment` where known."""
    summary = _known(summary)
    name, height = "agencies-premium-and-loss-ratio", 420
    has_segments = "segment" in summary and summary["segment"].notna().any()
    segment = (Column("segment", "Segment"),) if has_segments else ()
    columns = (_AGENCY, *segment, _PREMIUM, _LOSSES, _LOSS_RATIO, _GROWTH, _RETENTION, _POLICIES)
    title = f"Loss ratio of each agency against its written premium, {CURRENCY}, log scale"
    known = summary.dropna(subset=["written_premium", "loss_ratio"]) if len(summary) else summary
    known = known[known["written_premium"] > 0] if len(known) else known
    table = known.sort_values("written_premium", ascending=False) if len(known) else known
    if known.empty:
        return _empty(name, title, table, columns, _NO_ROWS)
    together = _loss_ratio_of_all(summary)
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
        scale=alt.Scale(type="log", nice=False, padding=16),
        axis=alt.Axis(
            title=f"Written premium, {CURRENCY}",
            labelExpr=_SHORT_AMOUNT,
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
    dots = alt.Chart(_plain(known, columns, "shown", "is_beyond")).encode(
        x=x,
        y=y,
        size=alt.Size("policies_in_force:Q", scale=alt.Scale(range=[24, 520], zero=True), legend=None),
        tooltip=shown_on_hover,
    )
    if has_segments:
        scale, shown = _colours(known["segment"], SEGMENTS)
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
    names = (
        alt.Chart(_plain(heaviest, (_AGENCY, _PREMIUM), "shown"))
        .mark_text(style="label-strong", dy=-15)
        .encode(x=x, y=y, text="agency_id:N")
    )
    losing = int((known["loss_ratio"] > 1).sum())
    note = _sentences(
        "A larger dot has more policies in force.",
        "Named are those whose losses exceed the common ratio by most USD." if len(heaviest) else "",
        f"{beyond} with a loss ratio below 0 or above {MOST_SHOWN_LOSS_RATIO:.0%} are triangles at the edge."
        if beyond
        else "",
        f"{left_out} agencies without premium above zero have no loss ratio and are left out." if left_out else "",
    )
    alternative = f"{losing:,} of {len(known):,} agencies lost more than they wrote" + (
        f"; the loss ratio of all together is {format_value(together, 'percent')}." if pd.notna(together) else "."
    )
    chart = alt.layer(line, inside, outside, words, names).properties(height=height)
    return Figure(name, title, alternative, chart, table, columns, note=note, height=height)


def forecast_with_bands(summary: pd.DataFrame, forecast: pd.DataFrame) -> Figure:
    """Draw written premium of each line, and its forecast with 80% and 95% bands.

    summary: by prod_line and year. forecast: as `forecast_tables.line_totals` returns it.
    """
    summary = _known(summary)
    name, height = "premium-forecast", 340
    columns = (
        _LINE,
        _YEAR,
        Column("forecast", "Forecast", "money", CURRENCY),
        *(Column(f"{end}{level}", f"{level}% {word}", "money", CURRENCY) for level in (80, 95) for end, word in _ENDS),
        Column("model", "Model"),
    )
    ahead = _with_lines(forecast)
    title = f"Written premium of next year by line, {CURRENCY}, with 80% and 95% bands"
    if ahead.empty:
        return _empty(name, title, ahead, columns, _NO_FORECAST)
    years = sorted({int(year) for year in ahead["year"]})
    title = f"Written premium by line and its forecast for {_listed(years)}, {CURRENCY}"
    past = _with_years(_with_lines(summary)).dropna(subset=["written_premium"])
    past = past[past["line"].isin(ahead["line"])]
    complete = past[~past["is_short"] & (past["year"] < years[0])]
    line, _ = _colours(ahead["line"], _LINE_NAMES)
    # the fan opens at the last complete year
    origin = complete.loc[complete.groupby("line")["year"].idxmax(), ["line", "year", "written_premium"]]
    bands = ["forecast", *(f"{end}{level}" for level in (80, 95) for end, _ in _ENDS)]
    fan = pd.concat(
        [
            origin.assign(**dict.fromkeys(bands, origin["written_premium"]))[["line", "year", *bands]],
            ahead[["line", "year", *bands]],
        ]
    )
    first, last = int(fan["year"].min()), years[-1]
    first = min(first, int(past["year"].min())) if len(past) else first
    x = _years(first, last, room=0.38)
    color = alt.Color("line:N", scale=line, legend=None)
    y_axis = alt.Y("written_premium:Q", axis=_PREMIUM_AXIS, scale=alt.Scale(zero=False))
    behind = alt.Chart(_plain(fan, (), "line", "year", *bands)).encode(x=x, color=color)
    ninety_five = behind.mark_area(style="interval-95").encode(
        y=alt.Y("lo95:Q", axis=_PREMIUM_AXIS, scale=alt.Scale(zero=False)), y2="hi95:Q"
    )
    eighty = behind.mark_area(style="interval-80").encode(y="lo80:Q", y2="hi80:Q")
    centre = behind.mark_line(strokeDash=[5, 4]).encode(y="forecast:Q")
    end_points = (
        alt.Chart(_plain(ahead, columns))
        .mark_point(shape="diamond", size=70)
        .encode(x=x, y="forecast:Q", color=color, tooltip=tooltips(columns))
    )
    history_columns = (_LINE, _YEAR, _PREMIUM, _GROWTH, _MONTHS)
    lines = (
        alt.Chart(_plain(_with_gaps(complete), history_columns))
        .mark_line(point=True)
        .encode(x=x, y=y_axis, color=color, tooltip=tooltips(history_columns))
    )
    short = (
        alt.Chart(_plain(past[past["is_short"]], history_columns))
        .mark_point(filled=False)
        .encode(x=x, y=y_axis, color=color, tooltip=tooltips(history_columns))
    )
    ends = ahead.loc[ahead.groupby("line")["year"].idxmax()]
    ends = ends.assign(value=ends["forecast"], text=_short_names(ends) + "|" + ends["forecast"].map(compact))
    amounts = pd.concat([past["written_premium"], ahead["lo95"], ahead["hi95"]])
    names = _line_names(ends, x, height, float(amounts.max() - amounts.min()))
    chart = alt.layer(ninety_five, eighty, centre, lines, short, end_points, *names).properties(height=height)
    note = _sentences(
        "Dark band 80%, light band 95%." if ahead["lo80"].notna().any() else "",
        "No band where too few earlier forecasts can be compared." if ahead["lo80"].isna().any() else "",
        "The scale need not start at zero.",
        _short_years(past, "hollow and not joined to the line"),
    )
    each = [_forecast_in_words(row) for row in ahead.sort_values(["year", "place"]).to_dict("records")]
    models = _listed(sorted(set(ahead["model"].dropna()))) if "model" in ahead else ""
    alternative = f"Forecast: {'; '.join(each)}.{f' Model: {models}.' if models else ''}"
    return Figure(name, title, alternative, chart, ahead, columns, note=note, height=height)


_ENDS = (("lo", "from"), ("hi", "to"))


def forecast_backtest(scores: pd.DataFrame) -> Figure:
    """Draw the error of each model, over all years and by year. scores: as `forecast_tables.scores_of` returns them."""
    name = "forecast-backtest"
    columns = (
        Column("label", "Model"),
        Column("when", "Years"),
        Column("wape", "Error (WAPE)", "percent"),
        Column("coverage80", "80% band held", "percent"),
        Column("coverage95", "95% band held", "percent"),
        Column("n", "Forecasts", "count"),
    )
    title = "Error of each model in the backtest, absolute error by written premium (WAPE)"
    known = scores.dropna(subset=["wape"]) if len(scores) else scores
    if known.empty:
        return _empty(name, title, known, columns, _NO_FORECAST)
    known = known.assign(
        when=known["year"].astype("string").fillna("all"),
        label=known["model"].str.replace("_", " ") + known["is_chosen"].map({True: " (in use)", False: ""}),
        is_pooled=known["year"].isna(),
    )
    pooled = known[known["is_pooled"]].sort_values("wape", kind="stable")
    table = known.sort_values(["is_pooled", "year", "wape"], ascending=[False, False, True])
    height = 40 * len(pooled) + 56
    base = alt.Chart(_plain(table, columns, "is_pooled")).encode(
        x=alt.X(
            "wape:Q",
            scale=alt.Scale(zero=False, padding=16),
            axis=alt.Axis(format=".0%", grid=True, title="WAPE; less is better"),
        ),
        y=alt.Y("label:N", title=None, sort=pooled["label"].tolist(), axis=alt.Axis(labelLimit=200)),
        tooltip=tooltips(columns),
    )
    is_pooled = base.transform_filter("datum.is_pooled")
    years = base.transform_filter("!datum.is_pooled").mark_point(filled=False, opacity=0.6, size=36)
    words = is_pooled.mark_text(style="label-strong", dy=-14).encode(text=alt.Text("wape:Q", format=".1%"))
    explanations = pooled["explanation"].dropna()
    best = pooled.iloc[0]
    alternative = explanations.iloc[0] if len(explanations) else f"{best['label']} errs least, by {best['wape']:.1%}."
    note = "A full dot is all years together, a ring is one year. The scale need not start at zero."
    if (scores["model"] == "best_so_far").any():
        note += " “Best so far” is, in each year, the best model of the years before."
    chart = alt.layer(years, is_pooled.mark_point(size=130), words).properties(height=height)
    return Figure(name, title, alternative, chart, table, columns, note=note, height=height)


def agency_history(summary: pd.DataFrame) -> Figure:
    """Draw premium and loss ratio of one agency on one time axis. summary: by prod_line and year, of this agency."""
    summary = _known(summary)
    name, heights = "agency-history", (200, 150)
    columns = (_YEAR, _LINE, _PREMIUM, _NEW_BUSINESS, _LOSSES, _LOSS_RATIO, _RETENTION, _GROWTH, _POLICIES, _MONTHS)
    rows = _with_years(_with_lines(summary))
    title = f"Written premium, {CURRENCY}, and loss ratio of this agency by line{_span(rows)}"
    table = rows.sort_values(["year", "line"], ascending=[False, True])
    if rows["written_premium"].dropna().empty:
        return _empty(name, title, table, columns, _NO_ROWS)
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
    scale, shown = _colours(rows["line"], _LINE_NAMES)
    color = alt.Color("line:N", scale=scale, legend=alt.Legend(symbolType="circle", values=shown))
    data = _plain(rows, columns, "is_short", "shown")
    joined = _plain(_with_gaps(rows[~rows["is_short"]]), (_LINE, _YEAR, _PREMIUM), "shown")
    shown_on_hover = tooltips(columns)

    x = _years(first, last)

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

    amount = alt.Y("written_premium:Q", axis=alt.Axis(labelExpr=_SHORT_AMOUNT, grid=True), title=None)
    share = alt.Y("shown:Q", axis=alt.Axis(format=".0%", grid=True, tickCount=4), title=None)
    chart = alt.vconcat(
        panel(f"Written premium, {CURRENCY}", heights[0], amount, premium_cursor),
        panel("Loss ratio", heights[1], share, ratio_cursor),
    )
    alternative = _premium_in_words(rows)
    note = _sentences(
        "Loss ratios below 0 or above 200% are drawn at the edge."
        if (~rows["loss_ratio"].dropna().between(0, 2)).any()
        else "",
        _short_years(rows, "hollow and not joined to the line"),
    )
    return Figure(name, title, alternative, chart, table, columns, note=note, height=sum(heights) + 156)


def segments(frame: pd.DataFrame) -> Figure:
    """Draw agencies and premium by segment. frame: segment, rule (in words), agencies, written_premium, loss_ratio."""
    name = "agency-segments"
    columns = (
        Column("segment", "Segment"),
        Column("rule", "Rule"),
        Column("agencies", "Agencies", "count"),
        _PREMIUM,
        _LOSS_RATIO,
    )
    title = f"Written premium of each segment of agencies, {CURRENCY}"
    if frame.empty:
        return _empty(name, title, frame, columns, _NO_ROWS)
    rows = frame.sort_values("written_premium", ascending=False)
    rows = rows.assign(
        text=[
            f"{compact(premium)} · {agencies:,} {'agency' if agencies == 1 else 'agencies'}"
            for premium, agencies in zip(rows["written_premium"], rows["agencies"], strict=True)
        ],
        label_at=rows["written_premium"].clip(lower=0),
    )
    height = 40 * len(rows) + 24
    y = alt.Y("segment:N", title=None, sort=rows["segment"].tolist(), axis=None, scale=alt.Scale(paddingInner=0.62))
    base = alt.Chart(_plain(rows, columns, "text", "label_at"))
    bars = base.mark_bar(yOffset=8).encode(
        x=alt.X("written_premium:Q", axis=None, scale=_scale_with_room(rows["written_premium"], 1.02)),
        y=y,
        color=alt.Color("segment:N", scale=_colours(rows["segment"], SEGMENTS)[0], legend=None),
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
        f"of {rows['agencies'].sum():,} agencies"
        + (f", {first['written_premium'] / total:.1%} of the premium." if total > 0 else ".")
    )
    chart = alt.layer(bars, names, words).properties(height=height)
    return Figure(name, title, alternative, chart, rows, columns, height=height)


def _empty(name: str, title: str, table: pd.DataFrame, columns: tuple[Column, ...], reason: str) -> Figure:
    return Figure(name, title, "There is nothing to draw.", None, table.head(0), columns, note=reason, height=160)


def _known(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with its measures as floats, and null for values that are not finite."""
    floats = {name: frame[name].astype("float64") for name in _MEASURES if name in frame}
    return frame.assign(**{name: values.where(values.abs() < float("inf")) for name, values in floats.items()})


def _plain(rows: pd.DataFrame, columns: Sequence[Column], *more: str) -> pd.DataFrame:
    """Return the columns for a chart, with floats for decimals and null for values that are not finite."""
    names = [name for name in dict.fromkeys([*(column.name for column in columns), *more]) if name in rows]
    kinds = {column.name: column.kind for column in columns}
    plain = rows[names].copy()
    for name in names:
        if kinds.get(name) in {"money", "percent", "change", "decimal"}:
            digits = 2 if kinds[name] == "money" else 6
            plain[name] = plain[name].astype("float64").round(digits)
        elif kinds.get(name) == "identifier":
            plain[name] = plain[name].astype(str)
    return plain


def _with_lines(rows: pd.DataFrame) -> pd.DataFrame:
    codes = rows["prod_line"].astype(str) if "prod_line" in rows else pd.Series(dtype=str)
    known = list(LINES)
    return rows.assign(
        line=codes.map(lambda code: LINES.get(code, code)),
        place=codes.map(lambda code: known.index(code) if code in known else len(known)),
    )


def _short_names(rows: pd.DataFrame) -> pd.Series:
    return rows["line"].str.replace(r" \(.*", "", regex=True)


def _colours(names: pd.Series, known: Sequence[str]) -> tuple[alt.Scale, list[str]]:
    """Return a scale with fixed colours of the known names, and the names that are shown."""
    shown = set(names.dropna())
    domain = [*known, *sorted(shown - set(known))]
    return alt.Scale(domain=domain, range="category"), [name for name in domain if name in shown]


def _line_names(ends: pd.DataFrame, x: alt.X, height: int, span: float) -> list[alt.Chart]:
    """Draw the label of each line at its end. ends: line, year, value, text; height, span: of the scale, px and USD."""
    ranked = ends.sort_values("value", ascending=False).reset_index(drop=True)
    is_crowded = (-ranked["value"].diff().dropna() * height / span < _LABEL_HEIGHT).any() if span > 0 else True
    nudges = [place - (len(ranked) - 1) / 2 if is_crowded else 0.0 for place in range(len(ranked))]
    return [
        alt.Chart(_plain(ranked.iloc[[place]], (), "year", "value", "text"))
        .mark_text(style="label-strong", align="left", dx=10, dy=nudge * _LABEL_HEIGHT - 6, lineBreak="|")
        .encode(x=x, y="value:Q", text="text:N")
        for place, nudge in enumerate(nudges)
    ]


def _years(first: int, last: int, room: float = 0.0) -> alt.X:
    """Return an axis of years, with space behind the last one for the labels of the lines."""
    years = list(range(first, last + 1))
    return alt.X(
        "year:Q",
        scale=alt.Scale(domain=[first, last + max(1, last - first) * room], nice=False, padding=12),
        axis=alt.Axis(title=None, format="d", values=years, tickCount=len(years), labelOverlap="parity"),
    )


def _scale_with_room(values: pd.Series, room: float) -> alt.Scale:
    """Return a scale from zero to above the largest value, with space for the label behind a bar."""
    largest = float(values.max())
    return alt.Scale(zero=True, domainMax=largest * room) if largest > 0 else alt.Scale(zero=True)


def _with_years(rows: pd.DataFrame) -> pd.DataFrame:
    if "months_covered" not in rows:
        return rows.assign(months_covered=pd.Series(dtype="Int64"), is_short=False, year_label="")
    is_short = rows["months_covered"].fillna(12) < 12
    years = rows["year"].astype("Int64").astype(str)
    return rows.assign(
        is_short=is_short,
        year_label=years.where(~is_short, years + "|" + rows["months_covered"].astype("Int64").astype(str) + " mo"),
    )


def _year_labels(rows: pd.DataFrame) -> list[str]:
    return rows.sort_values("year")["year_label"].drop_duplicates().tolist()


def _with_gaps(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows, with an empty one for each missing year of a line, so that no line is drawn across it."""
    if rows.empty:
        return rows
    years = range(int(rows["year"].min()), int(rows["year"].max()) + 1)
    every = pd.MultiIndex.from_product([rows["line"].unique(), years], names=["line", "year"]).to_frame(index=False)
    return every.merge(rows, on=["line", "year"], how="left")


def _span(rows: pd.DataFrame) -> str:
    if rows.empty:
        return ""
    first, last = int(rows["year"].min()), int(rows["year"].max())
    return f", {first}" if first == last else f", {first}–{last}"


def _short_years(rows: pd.DataFrame, how: str) -> str:
    if rows.empty or not rows["is_short"].any():
        return ""
    short = rows[rows["is_short"]].groupby("year")["months_covered"].max()
    years = _listed([f"{year} ({months} months)" for year, months in short.items()])
    return f"Short years are {how}: {years}."


def _premium_in_words(rows: pd.DataFrame) -> str:
    complete = rows[~rows["is_short"]]
    year = int((complete if len(complete) else rows)["year"].max())
    of_year = rows[rows["year"] == year].dropna(subset=["written_premium"]).sort_values("place")
    amounts = zip(of_year["line"], of_year["written_premium"], strict=True)
    lines = ", ".join(f"{line} {compact(amount, CURRENCY)}" for line, amount in amounts)
    before = rows[(rows["year"] == year - 1) & ~rows["is_short"]]["written_premium"].sum()
    now = of_year["written_premium"].sum()
    change = f", {format_value(now / before - 1, 'change')} on {year - 1}" if before > 0 and len(complete) else ""
    which = "the last complete year" if len(complete) else "not a complete year"
    return f"{year}, {which}: {compact(now, CURRENCY)}{change} ({lines})."


def _forecast_in_words(row: Mapping[Hashable, Any]) -> str:
    text = f"{row['line']} {compact(row['forecast'], CURRENCY)} in {row['year']}"
    has_band = pd.notna(row["lo80"])
    return f"{text} (80% between {compact(row['lo80'])} and {compact(row['hi80'])})" if has_band else text


def _loss_ratio_of_all(rows: pd.DataFrame) -> float:
    """Return the loss ratio of the sums, including rows without a ratio of their own."""
    premium = rows["loss_ratio_denominator"].sum()
    return float(rows["loss_ratio_numerator"].sum() / premium) if premium > 0 else float("nan")


def _loss_ratios_in_words(rows: pd.DataFrame, known: pd.DataFrame) -> str:
    heavy = known[~known["is_faint"]]
    text = f"All states together: {format_value(_loss_ratio_of_all(rows), 'percent')}."
    if len(heavy):
        worst = heavy.nlargest(1, "loss_ratio").iloc[0]
        text += f" Highest: {worst['state_abbr']} in {worst['year']}, {worst['loss_ratio']:.1%}."
    return text


def _in_words(value: float, column: Column) -> str:
    return compact(value, column.unit) if column.kind == "money" else format_value(value, column.kind)


def _if_wide(then: float, otherwise: float) -> alt.ExprRef:
    """Return one value where the chart is wide, another on a phone."""
    return alt.ExprRef(f"width >= {PHONE - 120} ? {then} : {otherwise}")


def _listed(items: Sequence[object]) -> str:
    words = [str(item) for item in items]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _sentences(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)
