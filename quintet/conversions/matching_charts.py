"""The figures of the matching: lag, calibration, placebo, weights of the evidence, and gains."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from quintet.conversions.chart_parts import LABEL_LIMIT, PERCENT_AXIS, no_figure, plain_rows
from quintet.presentation.design import Column, Figure, tooltips
from quintet.presentation.wording import counted


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
        return no_figure("lag", title, rows, columns)
    x = alt.X(
        "bin:N", sort=rows["bin"].tolist(), axis=alt.Axis(title="Lag, seconds", labelAngle=0, labelOverlap="greedy")
    )
    base = alt.Chart(plain_rows(rows, columns))
    bars = base.mark_bar(opacity=0.55).encode(x=x, y=alt.Y("observed:Q", axis=PERCENT_AXIS), tooltip=tooltips(columns))
    points = base.mark_point().encode(x=x, y="learned:Q", tooltip=tooltips(columns))
    cumulated = rows["observed"].cumsum()
    middle = rows.loc[cumulated >= 0.5, "bin"].iloc[0] if (cumulated >= 0.5).any() else rows["bin"].iloc[-1]
    alternative = (
        f"{counted(rows['rows'].sum(), 'matched pair')}; half of them within {middle} s, the longest lag is below "
        f"{rows.loc[rows['rows'] > 0, 'until_second'].max()} s."
    )
    note = "Bars: matched pairs. Points: the distribution that the model was trained to, without labels."
    chart = alt.layer(bars, points).properties(height=240)
    return Figure("lag", title, alternative, chart, rows, columns, note=note, height=240)


def calibration(frame: pd.DataFrame) -> Figure:
    """Draw inferred probabilities against their frequency in simulated worlds. frame: given, true."""
    columns = (Column("given", "As inferred", "percent"), Column("true", "As simulated", "percent"))
    title = "Probability of a match: as inferred, and its frequency in simulated worlds"
    if frame.empty:
        return no_figure("calibration", title, frame, columns)
    base = alt.Chart(plain_rows(frame, columns))
    x = alt.X("given:Q", axis=alt.Axis(title="As inferred", format="~%"), scale=alt.Scale(domain=[0, 1]))
    y = alt.Y("true:Q", axis=PERCENT_AXIS, scale=alt.Scale(domain=[0, 1]))
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
        return no_figure("placebo", title, frame, columns)
    rows = frame.sort_values("hours", ignore_index=True)
    rows = rows.assign(
        label=[f"{hours:+d} h".replace("-", "−") for hours in rows["hours"]],
        text=[f"{rate:.2%}" for rate in rows["false_match_rate"]],
    )
    base = alt.Chart(plain_rows(rows, columns, "label", "text"))
    y = alt.Y("label:N", title=None, sort=rows["label"].tolist())
    bars = base.mark_bar().encode(x=alt.X("false_match_rate:Q", axis=PERCENT_AXIS), y=y, tooltip=tooltips(columns))
    words = base.mark_text(style="label", align="left", dx=5).encode(x="false_match_rate:Q", y=y, text="text:N")
    alternative = f"{rows['false_match_rate'].mean():.2%} in the mean of {counted(len(rows), 'shift')}, "
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
        return no_figure("weights", title, rows, columns)
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
        plain_rows(known.assign(text=[f"{each:+.2f}".replace("-", "−") for each in known["bits"]]), columns, "text")
    )
    y = alt.Y("label:N", title=None, sort=known["label"].tolist(), axis=alt.Axis(labelLimit=LABEL_LIMIT))
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
        return no_figure("gains", title, frame, columns)
    rows = frame.assign(
        text=[
            f"{f1:.1%}" if change == "base" else f"{f1:.1%} ({gain * 100:+.1f})".replace("-", "−")
            for change, f1, gain in zip(frame["change"], frame["f1"], frame["gain"], strict=True)
        ]
    ).reset_index(drop=True)
    base = alt.Chart(plain_rows(rows, columns, "text"))
    y = alt.Y("title:N", title=None, sort=rows["title"].tolist(), axis=alt.Axis(labelLimit=440))
    x = alt.X("f1:Q", axis=None, scale=alt.Scale(domain=[0, 1.22]))
    bars = base.mark_bar().encode(x=x, y=y, tooltip=tooltips(columns))
    words = base.mark_text(style="label", align="left", dx=5).encode(x="f1:Q", y=y, text="text:N")
    best = rows.nlargest(1, "f1").iloc[0]
    alternative = f"Highest: {best['title']}, with an F1 of {best['f1']:.1%} against {rows['f1'].iloc[0]:.1%} as it is."
    height = 26 * len(rows) + 12
    return Figure(
        "gains", title, alternative, alt.layer(bars, words).properties(height=height), rows, columns, height=height
    )
