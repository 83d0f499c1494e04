"""The figures of the forecast: premium with its bands, and the backtest of each model."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import altair as alt
import pandas as pd

from quintet.insurance.chart_parts import (
    GROWTH,
    LINE,
    LINE_NAMES,
    MONTHS,
    NO_FORECAST,
    PREMIUM,
    PREMIUM_AXIS,
    YEAR,
    colours_of,
    finite_measures,
    in_one_text,
    listing,
    no_figure,
    plain_rows,
    short_years_note,
    starts_near_zero,
    with_gaps,
    with_lines,
    with_years,
    years_axis,
)
from quintet.insurance.forecast_tables import ALL_LINES
from quintet.presentation.design import CURRENCY, Column, Figure, compact, tooltips
from quintet.presentation.scales import line_scale

_LABEL_HEIGHT = 30


def forecast_with_bands(summary: pd.DataFrame, forecast: pd.DataFrame) -> Figure:
    """Draw written premium of each line, and its forecast with 80% and 95% bands.

    summary: by prod_line and year. forecast: as `forecast_tables.line_totals` returns it; the total
    is in the table and not drawn.
    """
    summary = finite_measures(summary)
    name, height = "premium-forecast", 340
    columns = (
        LINE,
        YEAR,
        Column("forecast", "Forecast", "money", CURRENCY),
        *(Column(f"{end}{level}", f"{level}% {word}", "money", CURRENCY) for level in (80, 95) for end, word in _ENDS),
        Column("model", "Model"),
    )
    every = with_lines(forecast)
    every = every.assign(line=every["line"].mask(every["prod_line"] == ALL_LINES, "All lines"))
    ahead = every[every["prod_line"] != ALL_LINES]
    title = f"Written premium of next year by line, {CURRENCY}, with 80% and 95% bands"
    if ahead.empty:
        return no_figure(name, title, ahead, columns, NO_FORECAST)
    years = sorted({int(year) for year in ahead["year"]})
    title = f"Written premium by line and its forecast for {listing(years)}, {CURRENCY}"
    past = with_years(with_lines(summary)).dropna(subset=["written_premium"])
    past = past[past["line"].isin(ahead["line"])]
    complete = past[~past["is_short"] & (past["year"] < years[0])]
    line, _ = colours_of(ahead["line"], LINE_NAMES)
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
    x = years_axis(first, last, room=0.38)
    color = alt.Color("line:N", scale=line, legend=None)
    drawn = pd.concat([past["written_premium"], *(fan[band] for band in bands)]).dropna()
    # room for the names of lines, which are two rows high
    scale = alt.Scale(zero=starts_near_zero(drawn), padding=_LABEL_HEIGHT / 2)
    y_axis = alt.Y("written_premium:Q", axis=PREMIUM_AXIS, scale=scale)
    behind = alt.Chart(plain_rows(fan, (), "line", "year", *bands)).encode(x=x, color=color)
    ninety_five = behind.mark_area(style="interval-95").encode(
        y=alt.Y("lo95:Q", axis=PREMIUM_AXIS, scale=scale), y2="hi95:Q"
    )
    eighty = behind.mark_area(style="interval-80").encode(y="lo80:Q", y2="hi80:Q")
    centre = behind.mark_line(strokeDash=[5, 4]).encode(y="forecast:Q")
    end_points = (
        alt.Chart(plain_rows(ahead, columns))
        .mark_point(shape="diamond", size=70)
        .encode(x=x, y="forecast:Q", color=color, tooltip=tooltips(columns))
    )
    history_columns = (LINE, YEAR, PREMIUM, GROWTH, MONTHS)
    lines = (
        alt.Chart(plain_rows(with_gaps(complete), history_columns))
        .mark_line(point=True)
        .encode(x=x, y=y_axis, color=color, tooltip=tooltips(history_columns))
    )
    short = (
        alt.Chart(plain_rows(past[past["is_short"]], history_columns))
        .mark_point(filled=False)
        .encode(x=x, y=y_axis, color=color, tooltip=tooltips(history_columns))
    )
    ends = ahead.loc[ahead.groupby("line")["year"].idxmax()]
    ends = ends.assign(value=ends["forecast"], text=_short_names(ends) + "|" + ends["forecast"].map(compact))
    amounts = pd.concat([past["written_premium"], ahead["lo95"], ahead["hi95"]])
    names = _line_names(ends, x, height, float(amounts.max() - amounts.min()))
    chart = alt.layer(ninety_five, eighty, centre, lines, short, end_points, *names).properties(height=height)
    note = in_one_text(
        "Dark band 80%, light band 95%." if ahead["lo80"].notna().any() else "",
        "No band where too few earlier forecasts can be compared." if ahead["lo80"].isna().any() else "",
        "All bands come from one distribution of past errors: lines add up to the total, ends of bands do not.",
        "" if scale.to_dict()["zero"] else "The scale does not start at zero.",
        short_years_note(past, "hollow and not joined to the line"),
    )
    each = [_forecast_in_words(row) for row in every.sort_values(["year", "place"]).to_dict("records")]
    models = listing(sorted(set(ahead["model"].dropna()))) if "model" in ahead else ""
    alternative = f"Forecast: {'; '.join(each)}.{f' Model: {models}.' if models else ''}"
    return Figure(name, title, alternative, chart, every, columns, note=note, height=height)


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
        return no_figure(name, title, known, columns, NO_FORECAST)
    known = known.assign(
        when=known["year"].astype("string").fillna("all"),
        label=known["model"].str.replace("_", " ") + known["is_chosen"].map({True: " (in use)", False: ""}),
        is_pooled=known["year"].isna(),
    )
    pooled = known[known["is_pooled"]].sort_values("wape", kind="stable")
    table = known.sort_values(["is_pooled", "year", "wape"], ascending=[False, False, True])
    height = 40 * len(pooled) + 56
    scale, at_zero = line_scale(table["wape"], padding=16)
    base = alt.Chart(plain_rows(table, columns, "is_pooled")).encode(
        x=alt.X(
            "wape:Q",
            scale=scale,
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
    note = f"A full dot is all years together, a ring is one year. {at_zero}".strip()
    if (scores["model"] == "best_so_far").any():
        note += " “Best so far” is, in each year, the best model of the years before."
    chart = alt.layer(years, is_pooled.mark_point(size=130), words).properties(height=height)
    return Figure(name, title, alternative, chart, table, columns, note=note, height=height)


def _short_names(rows: pd.DataFrame) -> pd.Series:
    return rows["line"].str.replace(r" \(.*", "", regex=True)


def _line_names(ends: pd.DataFrame, x: alt.X, height: int, span: float) -> list[alt.Chart]:
    """Draw the label of each line at its end. ends: line, year, value, text; height, span: of the scale, px and USD."""
    ranked = ends.sort_values("value", ascending=False).reset_index(drop=True)
    is_crowded = (-ranked["value"].diff().dropna() * height / span < _LABEL_HEIGHT).any() if span > 0 else True
    nudges = [place - (len(ranked) - 1) / 2 if is_crowded else 0.0 for place in range(len(ranked))]
    return [
        alt.Chart(plain_rows(ranked.iloc[[place]], (), "year", "value", "text"))
        .mark_text(style="label-strong", align="left", dx=10, dy=nudge * _LABEL_HEIGHT - 6, lineBreak="|")
        .encode(x=x, y="value:Q", text="text:N")
        for place, nudge in enumerate(nudges)
    ]


def _forecast_in_words(row: Mapping[Hashable, Any]) -> str:
    text = f"{row['line']} {compact(row['forecast'], CURRENCY)} in {row['year']}"
    has_band = pd.notna(row["lo80"])
    return f"{text} (80% between {compact(row['lo80'])} and {compact(row['hi80'])})" if has_band else text
