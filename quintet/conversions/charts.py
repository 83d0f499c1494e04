"""The conversions figures: each a chart with its table and a sentence with its main number.

Of an empty frame every function returns a figure without a chart, with a note on what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import altair as alt
import numpy as np
import pandas as pd

from quintet.conversions.insights import DIMENSIONS, NOT_MAPPED, Measure, country_name
from quintet.presentation.design import Column, Figure, Kind, compact, format_value, tooltips

SHOWN_LEVELS = 15
"""The number of levels drawn, largest first; the table has all of them."""

SIDES: Mapping[str, str] = MappingProxyType({"clicks": "Conversions", "broker_rows": "Broker rows"})
STEPS: Mapping[str, str] = MappingProxyType(
    {
        "all": "All",
        "in_reach": "In the other side's time span and countries",
        "with_candidate": "With a candidate within the lag",
        "matched": "Matched",
    }
)
OUTCOMES: Mapping[str, str] = MappingProxyType(
    {
        "matched": "Matched",
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
_NO_ROWS = (
    "There is no data yet. Drop a conversions file and a broker file into their inboxes and run "
    "`make run SELECT=conversions`."
)
_PERCENT_AXIS = alt.Axis(title=None, format="~%", grid=True)
_LABEL_LIMIT = 230
_LABEL_FACTOR = 1.35
"""The factor by which an axis extends beyond its longest bar or interval, so that the label beside it fits."""


def funnel(steps: pd.DataFrame, side: str) -> Figure:
    """Draw the rows of a side by step of the funnel, as bars. steps: dbt's `conversion_funnel`."""
    columns = (Column("label", "Step"), Column("rows", "Rows", "count"), Column("share", "Share", "percent"))
    rows = steps[steps["side"] == side].reset_index(drop=True)
    rows = rows.assign(label=rows["step"].map(STEPS))
    title = f"{SIDES[side]} from all to matched"
    every = int(rows["rows"].max()) if len(rows) else 0
    if not every:
        return _empty(f"funnel-{side}", title, rows, columns)
    matched = rows.iloc[-1]
    alternative = f"{matched['rows']:,} of {every:,} {SIDES[side].lower()} are matched, {matched['share']:.1%}."
    return _bars(f"funnel-{side}", title, alternative, rows, columns)


def outcomes(frame: pd.DataFrame, side: str) -> Figure:
    """Draw the reasons of unmatched rows of a side, as bars. frame: dbt's `conversion_outcomes`."""
    columns = (Column("label", "Reason"), Column("rows", "Rows", "count"), Column("share", "Share", "percent"))
    rows = frame[(frame["side"] == side) & (frame["outcome"] != "matched")].reset_index(drop=True)
    rows = rows.assign(label=rows["outcome"].map(lambda name: OUTCOMES.get(name, name)))
    title = f"{SIDES[side]} without a match, by reason"
    if rows.empty:
        return _empty(f"unmatched-{side}", title, rows, columns)
    first = rows.iloc[0]
    alternative = f"{rows['rows'].sum():,} are not matched; the most frequent reason: {first['label'].lower()}, "
    alternative += f"{first['rows']:,} ({first['share']:.1%} of all {SIDES[side].lower()})."
    return _bars(f"unmatched-{side}", title, alternative, rows, columns)


def lag(frame: pd.DataFrame, partner: str) -> Figure:
    """Draw the lags of matched pairs, as bars, and the trained distribution, as points. frame: `conversion_lags`."""
    columns = (
        Column("bin", "Lag", unit="seconds"),
        Column("rows", "Matched pairs", "count"),
        Column("observed", "Share", "percent"),
        Column("learned", "Trained", "percent"),
    )
    rows = frame[frame["partner"] == partner].reset_index(drop=True)
    single = rows["until_second"] - rows["from_second"] <= 1
    rows = rows.assign(
        bin=rows["from_second"]
        .astype(str)
        .where(single, rows["from_second"].astype(str) + "–" + rows["until_second"].astype(str))
    )
    title = f"Time from conversion to broker row at {partner}, share of matched pairs by seconds"
    if rows.empty or not rows["rows"].sum():
        return _empty("lag", title, rows, columns)
    x = alt.X(
        "bin:N", sort=rows["bin"].tolist(), axis=alt.Axis(title="Lag, seconds", labelAngle=0, labelOverlap="greedy")
    )
    base = alt.Chart(_plain(rows, columns))
    bars = base.mark_bar(opacity=0.55).encode(x=x, y=alt.Y("observed:Q", axis=_PERCENT_AXIS), tooltip=tooltips(columns))
    points = base.mark_point().encode(x=x, y="learned:Q", tooltip=tooltips(columns))
    cumulated = rows["observed"].cumsum()
    middle = rows.loc[cumulated >= 0.5, "bin"].iloc[0] if (cumulated >= 0.5).any() else rows["bin"].iloc[-1]
    alternative = (
        f"{rows['rows'].sum():,} matched pairs; half of them within {middle} s, the longest lag is below "
        f"{rows.loc[rows['rows'] > 0, 'until_second'].max()} s."
    )
    note = "Bars: matched pairs. Points: the distribution that the model was trained to, without labels."
    chart = alt.layer(bars, points).properties(height=240)
    return Figure("lag", title, alternative, chart, rows, columns, note=note, height=240)


def rates_by(rates: pd.DataFrame, measure: Measure, dimension: str, count: int = SHOWN_LEVELS) -> Figure:
    """Draw a measure by the largest levels of a dimension, with 95% intervals and the overall mean.

    rates: as `analysis.rates` returns it. Filled points differ from the rest, among equals and after correction.
    """
    columns = _rate_columns(measure, dimension)
    rows = rates[(rates["measure"] == measure) & (rates["dimension"] == dimension)]
    title = f"{_TITLES[measure]} by {_lower(DIMENSIONS[dimension])}, with 95% interval"
    name = f"{measure.replace('_', '-')}-by-{dimension.replace('_', '-')}"
    shown = rows.dropna(subset=["low", "high"]).nlargest(count, "n")
    if shown.empty:
        return _empty(name, title, rows, columns)
    shown = shown.assign(label=[level_label(dimension, level) for level in shown["level"]], text=_short(shown, measure))
    shown = shown.sort_values(["mean", "label"], ascending=[False, True], ignore_index=True)
    overall = float(rows["total"].sum() / rows["n"].sum())
    y = alt.Y(
        "label:N",
        title=None,
        sort=shown["label"].tolist(),
        axis=alt.Axis(labelLimit=_LABEL_LIMIT),
    )
    base = alt.Chart(_plain(shown, columns, "label", "text", "low", "high", "is_finding", "mean"))
    axis = alt.Axis(title=None, grid=True) if measure == "mean_score" else _PERCENT_AXIS
    least = float(shown["low"].min()) if measure == "match_rate" else min(0.0, float(shown["low"].min()))
    x = alt.X("low:Q", axis=axis, scale=_label_scale(least, float(shown["high"].max())))
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
        return _empty("match-rate-by-day", title, rows, columns)
    x = alt.X(
        "label:O",
        axis=alt.Axis(title=None, labelExpr="slice(datum.label, 5)", labelAngle=0, labelOverlap="greedy"),
    )
    base = alt.Chart(_plain(rows, columns, "label", "low", "high", "mean"))
    scale = alt.Scale(zero=False, nice=True)
    band = base.mark_area(style="interval-95", line=False).encode(
        x=x, y=alt.Y("low:Q", axis=_PERCENT_AXIS, scale=scale), y2="high:Q"
    )
    line = base.mark_line(point=True).encode(x=x, y=alt.Y("mean:Q", scale=scale), tooltip=tooltips(columns))
    worst = rows.nsmallest(1, "mean").iloc[0]
    overall = rows["total"].sum() / rows["n"].sum()
    alternative = f"{overall:.1%} over all days; lowest on {worst['level']} with {worst['mean']:.1%}."
    note = "The axis does not begin at zero. Conversions outside the broker's time span are excluded."
    return Figure(
        *("match-rate-by-day", title, alternative, alt.layer(band, line).properties(height=220), rows, columns),
        note=note,
        height=220,
    )


def residency(frame: pd.DataFrame, count: int = SHOWN_LEVELS) -> Figure:
    """Draw the share of rows whose residency differs from the IP country. frame: as `analysis.residency`."""
    columns = (
        Column("label", "IP country"),
        Column("n", "Rows", "count"),
        Column("mean", "Reside elsewhere", "percent"),
        Column("low", "From", "percent"),
        Column("high", "To", "percent"),
        Column("other", "Most often in"),
    )
    rows = frame.assign(
        label=[country_name(code) for code in frame["ip_iso2"]],
        other=frame["commonest"].map(country_name, na_action="ignore"),
    )
    title = "Rows whose residency differs from their IP country, by IP country, with 95% interval"
    if rows.empty:
        return _empty("residency", title, rows, columns)
    shown = rows.nlargest(count, "n").sort_values(["mean", "label"], ascending=[False, True], ignore_index=True)
    shown = shown.assign(text=[f"{mean:.1%} of {n:,}" for mean, n in zip(shown["mean"], shown["n"], strict=True)])
    base = alt.Chart(_plain(shown, columns, "text"))
    y = alt.Y("label:N", title=None, sort=shown["label"].tolist(), axis=alt.Axis(labelLimit=_LABEL_LIMIT))
    lines = base.mark_rule(strokeWidth=2, opacity=0.45).encode(
        x=alt.X("low:Q", axis=_PERCENT_AXIS, scale=_label_scale(0.0, float(shown["high"].max()))),
        x2="high:Q",
        y=y,
        tooltip=tooltips(columns),
    )
    points = base.mark_point().encode(x="mean:Q", y=y, tooltip=tooltips(columns))
    words = base.mark_text(style="label", align="left", dx=6).encode(x="high:Q", y=y, text="text:N")
    first, overall = shown.iloc[0], rows["total"].sum() / rows["n"].sum()
    alternative = f"{overall:.1%} of all; of the {len(shown)} largest most often with an IP of {first['label']}: "
    alternative += f"{first['mean']:.1%}."
    height = 22 * len(shown) + 20
    chart = alt.layer(lines, points, words).properties(height=height)
    note = "Only rows that state a residency."
    return Figure("residency", title, alternative, chart, rows, columns, note=note, height=height)


def calibration(frame: pd.DataFrame) -> Figure:
    """Draw inferred probabilities against their frequency in simulated worlds. frame: given, true."""
    columns = (Column("given", "As inferred", "percent"), Column("true", "As simulated", "percent"))
    title = "Probability of a match: as inferred, and its frequency in simulated worlds"
    if frame.empty:
        return _empty("calibration", title, frame, columns)
    base = alt.Chart(_plain(frame, columns))
    x = alt.X("given:Q", axis=alt.Axis(title="As inferred", format="~%"), scale=alt.Scale(domain=[0, 1]))
    y = alt.Y("true:Q", axis=_PERCENT_AXIS, scale=alt.Scale(domain=[0, 1]))
    line = base.mark_line(point=True).encode(x=x, y=y, tooltip=tooltips(columns))
    even = alt.Chart(pd.DataFrame({"given": [0, 1], "true": [0, 1]})).mark_line(style="reference").encode(x=x, y=y)
    furthest = frame.iloc[int((frame["given"] - frame["true"]).abs().argmax())]
    alternative = f"At most {abs(furthest['given'] - furthest['true']):.1%} apart, at {furthest['given']:.1%}."
    note = "Published probabilities are corrected by this curve. The dashed line: both agree."
    chart = alt.layer(even, line).properties(height=260)
    return Figure("calibration", title, alternative, chart, frame, columns, note=note, height=260)


def placebo(frame: pd.DataFrame) -> Figure:
    """Draw the rows that match conversions shifted by hours, all false matches. frame: ml.matching_placebo."""
    columns = (
        Column("hours", "Shift", "text", "hours"),
        Column("broker_rows", "Broker rows", "count"),
        Column("matched", "Matched", "count"),
        Column("false_match_rate", "False matches", "percent"),
    )
    title = "Rows matched at random: conversions shifted by hours, share of broker rows"
    if frame.empty:
        return _empty("placebo", title, frame, columns)
    rows = frame.sort_values("hours", ignore_index=True)
    rows = rows.assign(
        label=[f"{hours:+d} h".replace("-", "−") for hours in rows["hours"]],
        text=[f"{rate:.2%}" for rate in rows["false_match_rate"]],
    )
    base = alt.Chart(_plain(rows, columns, "label", "text"))
    y = alt.Y("label:N", title=None, sort=rows["label"].tolist())
    bars = base.mark_bar().encode(x=alt.X("false_match_rate:Q", axis=_PERCENT_AXIS), y=y, tooltip=tooltips(columns))
    words = base.mark_text(style="label", align="left", dx=5).encode(x="false_match_rate:Q", y=y, text="text:N")
    alternative = f"{rows['false_match_rate'].mean():.2%} in the mean of {len(rows)} shifts, "
    alternative += f"{rows['false_match_rate'].max():.2%} at most."
    height = 26 * len(rows) + 30
    return Figure(
        "placebo", title, alternative, alt.layer(bars, words).properties(height=height), rows, columns, height=height
    )


def weights(frame: pd.DataFrame, partner: str) -> Figure:
    """Draw the evidence of each agreement of countries for a match, in bits. frame: ml.matching_weights."""
    columns = (
        Column("label", "Evidence"),
        Column("m", "Among links (m)", "percent"),
        Column("u", "Among others (u)", "percent"),
        Column("bits", "Weight", "decimal", "bits"),
    )
    title = f"Evidence of countries for a match at {partner}, log2 of m by u"
    rows = frame[frame["partner"] == partner].reset_index(drop=True)
    if rows.empty:
        return _empty("weights", title, rows, columns)
    names = {"ip": "IP country", "residency": "Residency"}
    outcome = {"same": "the same", "missing": "missing", "other": "another"}
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = np.log2(rows["m"].to_numpy("float64") / rows["u"].to_numpy("float64"))
    rows = rows.assign(
        label=rows["field"].map(lambda name: names.get(name, name)) + " " + rows["outcome"].map(outcome),
        bits=np.where(np.isfinite(bits), bits, np.nan),
    )
    known = rows.dropna(subset=["bits"])
    base = alt.Chart(
        _plain(known.assign(text=[f"{each:+.2f}".replace("-", "−") for each in known["bits"]]), columns, "text")
    )
    y = alt.Y("label:N", title=None, sort=known["label"].tolist(), axis=alt.Axis(labelLimit=_LABEL_LIMIT))
    bars = base.mark_bar().encode(
        x=alt.X("bits:Q", axis=alt.Axis(title="bits", grid=True)), y=y, tooltip=tooltips(columns)
    )
    words = base.mark_text(style="label", align="left", dx=5).encode(x="bits:Q", y=y, text="text:N")
    strongest = known.sort_values("bits", key=abs).tail(1)
    alternative = "".join(f"{row.label} weighs most: {row.bits:+.2f} bits." for row in strongest.itertuples())
    height = 26 * len(known) + 30
    note = "m: share among links; u: share among rows without one. The lag adds its own weight."
    chart = alt.layer(bars, words).properties(height=height)
    return Figure("weights", title, alternative, chart, rows, columns, note=note, height=height)


def gains(frame: pd.DataFrame) -> Figure:
    """Draw the F1 of each change, as bars. frame: as `pipeline_worlds.measure_changes`, with gain."""
    columns = (
        Column("title", "Change"),
        Column("f1", "F1", "percent"),
        Column("gain", "Against now", "change"),
        Column("found", "Of all registrations", "percent"),
    )
    title = "F1 of the matches after each change"
    if frame.empty:
        return _empty("gains", title, frame, columns)
    rows = frame.assign(
        text=[
            f"{f1:.1%}" if change == "base" else f"{f1:.1%} ({gain * 100:+.1f})".replace("-", "−")
            for change, f1, gain in zip(frame["change"], frame["f1"], frame["gain"], strict=True)
        ]
    ).reset_index(drop=True)
    base = alt.Chart(_plain(rows, columns, "text"))
    y = alt.Y("title:N", title=None, sort=rows["title"].tolist(), axis=alt.Axis(labelLimit=360))
    x = alt.X("f1:Q", axis=None, scale=alt.Scale(domain=[0, 1.22]))
    bars = base.mark_bar().encode(x=x, y=y, tooltip=tooltips(columns))
    words = base.mark_text(style="label", align="left", dx=5).encode(x="f1:Q", y=y, text="text:N")
    best = rows.nlargest(1, "f1").iloc[0]
    alternative = f"Highest: {best['title']}, with an F1 of {best['f1']:.1%} against {rows['f1'].iloc[0]:.1%} as it is."
    height = 26 * len(rows) + 12
    return Figure(
        "gains", title, alternative, alt.layer(bars, words).properties(height=height), rows, columns, height=height
    )


def _bars(name: str, title: str, alternative: str, rows: pd.DataFrame, columns: tuple[Column, ...]) -> Figure:
    rows = rows.assign(
        text=[f"{compact(count)} ({share:.1%})" for count, share in zip(rows["rows"], rows["share"], strict=True)]
    )
    y = alt.Y("label:N", title=None, sort=rows["label"].tolist(), axis=alt.Axis(labelLimit=_LABEL_LIMIT + 40))
    base = alt.Chart(_plain(rows, columns, "text"))
    scale = alt.Scale(domain=[0, float(rows["rows"].max()) * _LABEL_FACTOR])
    bars = base.mark_bar().encode(x=alt.X("rows:Q", axis=None, scale=scale), y=y, tooltip=tooltips(columns))
    words = base.mark_text(style="label", align="left", dx=5).encode(x="rows:Q", y=y, text="text:N")
    height = 26 * len(rows) + 12
    return Figure(
        name, title, alternative, alt.layer(bars, words).properties(height=height), rows, columns, height=height
    )


def _label_scale(least: float, most: float) -> alt.Scale:
    """Return a scale with space for the label beside the longest interval."""
    return alt.Scale(domain=[least, least + (most - least or 1.0) * _LABEL_FACTOR], nice=False, zero=False)


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


def level_label(dimension: str, level: str) -> str:
    """Return the label of a level of a dimension: a country by its name."""
    if dimension == "country":
        return country_name(level)
    return "Without a category" if level == NOT_MAPPED else level


def _short(rows: pd.DataFrame, measure: Measure) -> list[str]:
    pattern = ".2f" if measure == "mean_score" else ".1%"
    return [f"{mean:{pattern}} of {n:,}" for mean, n in zip(rows["mean"], rows["n"], strict=True)]


def _lower(heading: str) -> str:
    return heading if heading[:2].isupper() else heading.lower()


def _empty(name: str, title: str, table: pd.DataFrame, columns: tuple[Column, ...]) -> Figure:
    shown = table.head(0).reindex(columns=[column.name for column in columns])
    return Figure(name, title, "There is no data.", None, shown, columns, note=_NO_ROWS, height=160)


def _plain(rows: pd.DataFrame, columns: Sequence[Column], *more: str) -> pd.DataFrame:
    """Return the columns that a chart needs, with rounded floats: the same digits in every renderer."""
    names = [name for name in dict.fromkeys([*(column.name for column in columns), *more]) if name in rows]
    plain = rows[names].copy()
    for name in plain.select_dtypes("float"):
        plain[name] = plain[name].round(6)
    return plain
