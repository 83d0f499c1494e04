"""The figures of the scores: their distribution, the choice of a threshold, and the model card."""

from __future__ import annotations

import altair as alt
import pandas as pd

from quintet.presentation.design import Column, Figure, dots_on_intervals, format_value, plain_values
from quintet.presentation.wording import counted
from quintet.promotions.chart_parts import NO_ROWS, no_figure

MEASURES = {
    "average_precision": "Average precision",
    "recall_at_1_percent_false_positives": "Recall at 1% false positives",
    "precision_of_block": "Precision of block",
    "recall_of_block": "Recall of block",
    "precision_of_review": "Precision of review and block",
    "recall_of_review": "Recall of review and block",
}
SCORERS = {
    "active": "Active model",
    "scorecard": "Scorecard",
    "logistic": "Logistic regression",
    "boosting": "Gradient boosting",
    "logistic_on_later_sign_ups": "Logistic, on later sign-ups",
}
_NO_LABELS = (
    "This needs labelled abusers and labelled honest users. Confirm or clear users on this page, or add `is_abuser` to "
    "a users file; the next run trains on them."
)
_THRESHOLD = "threshold"
_ABUSERS = ["Accounts", "Labelled abusers"]
_SHORT = "datum.value < 1000 ? format(datum.value, 'd') : format(datum.value, '~s')"
_POWERS = [0, *(10**power for power in range(8))]
_COUNT_AXIS = alt.Axis(title="Accounts, symmetric log scale", labelExpr=_SHORT, grid=True, values=_POWERS)


def score_histogram(bins: pd.DataFrame, threshold: float) -> Figure:
    """Return the histogram of scores, with a movable threshold. bins: as `overview.score_histogram`."""
    name, height = "score-histogram", 280
    title = "Accounts by score, with the abusers among the labelled"
    columns = (
        Column("span", "Score"),
        Column("accounts", "Accounts", "count"),
        Column("abusers", "Labelled abusers", "count"),
        Column("honest", "Labelled honest", "count"),
        Column("unlabelled", "Not labelled", "count"),
    )
    rows = bins.assign(span=[f"{low:.2f} to {high:.2f}" for low, high in zip(bins["low"], bins["high"], strict=True)])
    if not rows["accounts"].sum():
        return no_figure(name, title, rows.head(0), columns, NO_ROWS)
    y_scale = alt.Scale(type="symlog", constant=1, domainMin=0)
    tips = [
        alt.Tooltip(
            f"{column.name}:{'Q' if column.is_figure else 'N'}",
            title=column.label,
            format="," if column.is_figure else "",
        )
        for column in columns
    ]
    base = alt.Chart(plain_values(rows, "span", "low", "high", "accounts", "abusers", "honest", "unlabelled"))
    x = alt.X(
        "low:Q", bin="binned", title="Score", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".1f", tickCount=10)
    )
    bars = base.mark_bar(cornerRadiusEnd=2).encode(
        x=x, x2="high:Q", y=alt.Y("accounts:Q", scale=y_scale, axis=_COUNT_AXIS), y2=alt.datum(0), tooltip=tips
    )
    middle = base.transform_calculate(middle="(datum.low + datum.high) / 2").transform_filter("datum.abusers > 0")
    dots = (
        middle.transform_calculate(series="'Labelled abusers'")
        .mark_point(shape="diamond", size=70)
        .encode(
            x="middle:Q",
            y=alt.Y("abusers:Q", scale=y_scale),
            color=alt.Color(
                "series:N", legend=alt.Legend(title=None, values=_ABUSERS[1:]), scale=alt.Scale(domain=_ABUSERS)
            ),
            tooltip=tips,
        )
    )
    has_abusers = bool(rows["abusers"].gt(0).any())
    chart = alt.layer(bars, *([dots] if has_abusers else []), _movable_rule(threshold)).properties(height=height)
    above = int(rows.loc[rows["low"] >= 0.5, "accounts"].sum())
    alternative = f"{above:,} of {counted(int(rows['accounts'].sum()), 'account')} scored of 0.5 or more."
    note = "The dashed line is the threshold set above; the vertical scale is logarithmic."
    return Figure(name, title, alternative, chart, rows, columns, note=note, height=height)


def precision_and_recall(thresholds: pd.DataFrame, threshold: float) -> Figure:
    """Return the chart of precision and recall by threshold. thresholds: `ml.abuse_model_thresholds`."""
    name, height = "precision-and-recall", 280
    title = "Precision and recall by threshold, on held-back labelled accounts"
    columns = (
        Column("threshold", "Threshold", "decimal"),
        Column("flagged", "Flagged", "count"),
        Column("abusers", "Abusers among them", "count"),
        Column("precision", "Precision", "percent"),
        Column("recall", "Recall", "percent"),
    )
    rows = thresholds.sort_values("threshold")
    if rows.empty:
        return no_figure(name, title, rows, columns, _NO_LABELS)
    long = rows.melt("threshold", ["precision", "recall"], "measure", "value").dropna(subset=["value"])
    long["measure"] = long["measure"].str.capitalize()
    lines = (
        alt.Chart(plain_values(long, "threshold", "measure", "value"))
        .mark_line()
        .encode(
            x=alt.X("threshold:Q", title="Threshold", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".1f")),
            y=alt.Y("value:Q", title="Share", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%", grid=True)),
            color=alt.Color("measure:N", legend=alt.Legend(title=None)),
            tooltip=[
                alt.Tooltip("measure:N", title="Measure"),
                alt.Tooltip("threshold:Q", title="Threshold", format=".2f"),
                alt.Tooltip("value:Q", title="Share", format=".1%"),
            ],
        )
    )
    chart = alt.layer(lines, _movable_rule(threshold)).properties(height=height)
    return Figure(name, title, at_threshold(rows, threshold), chart, rows, columns, height=height)


def at_threshold(thresholds: pd.DataFrame, threshold: float) -> str:
    """Describe precision and recall at the nearest threshold of the table."""
    if thresholds.empty:
        return "Precision and recall are not known: labels of both classes are needed."
    row = thresholds.iloc[int((thresholds["threshold"] - threshold).abs().to_numpy().argmin())]
    precision = "none is flagged" if row["flagged"] == 0 else f"precision {format_value(row['precision'], 'percent')}"
    return (
        f"From {row['threshold']:.2f} on, {int(row['flagged']):,} labelled accounts are flagged: {precision}, "
        f"recall {format_value(row['recall'], 'percent')}."
    )


def model_figures(figures: pd.DataFrame) -> Figure:
    """Return the chart of the model's figures with intervals. figures: `ml.abuse_model_figures`."""
    name = "model-figures"
    title = "Precision and recall on labelled accounts, with 95% intervals"
    columns = (
        Column("model", "Scores of"),
        Column("measured", "Measure"),
        Column("value", "Value", "percent"),
        Column("low", "From", "percent"),
        Column("high", "To", "percent"),
        Column("n", "Accounts", "count"),
    )
    rows = figures.assign(
        model=figures["scores_of"].map(SCORERS), measured=figures["measure"].map(MEASURES)
    ).sort_values(["measured", "model"])
    if rows.empty:
        return no_figure(name, title, rows, columns, _NO_LABELS)
    shown = rows[rows["scores_of"] == "active"].dropna(subset=["value"])
    height = 44 * len(shown) + 40
    y = alt.Y("measured:N", title=None, sort=list(MEASURES.values()), axis=alt.Axis(labelLimit=220))
    x = alt.X("low:Q", title="Share", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%", grid=True))
    base = alt.Chart(plain_values(shown, "measured", "value", "low", "high", "n"))
    tips = [
        alt.Tooltip("measured:N", title="Measure"),
        *(
            alt.Tooltip(f"{key}:Q", title=label, format=".1%")
            for key, label in (("value", "Value"), ("low", "From"), ("high", "To"))
        ),
        alt.Tooltip("n:Q", title="Accounts", format=","),
    ]
    chart = alt.layer(*dots_on_intervals(base, x, "high", "value", y=y, tooltip=tips)).properties(height=height)
    best = shown.set_index("measure")["value"]
    alternative = f"Average precision of the active model: {format_value(best.get('average_precision'), 'percent')}."
    note = "The chart shows the active model; the table also has those it was compared with."
    return Figure(name, title, alternative, chart, rows, columns, note=note, height=height)


def model_weights(weights: pd.DataFrame) -> Figure:
    """Return the chart of the weights of the evidence. weights: `ml.abuse_model_weights`."""
    name = "model-weights"
    title = "What one unit of each piece of evidence adds to the log-odds of abuse"
    columns = (Column("evidence", "Evidence"), Column("log_odds", "Log-odds", "decimal"))
    rows = weights.sort_values("log_odds", ascending=False, key=lambda values: values.abs())
    shown = rows[rows["log_odds"] != 0]
    if shown.empty:
        return no_figure(name, title, rows, columns, NO_ROWS)
    height = 22 * len(shown) + 40
    chart = (
        alt.Chart(plain_values(shown.assign(words=shown["evidence"].str.replace("_", " ")), "words", "log_odds"))
        .mark_bar()
        .encode(
            x=alt.X("log_odds:Q", title="Log-odds", axis=alt.Axis(grid=True)),
            y=alt.Y("words:N", title=None, sort=None, axis=alt.Axis(labelLimit=180)),
            tooltip=[
                alt.Tooltip("words:N", title="Evidence"),
                alt.Tooltip("log_odds:Q", title="Log-odds", format="+.3f"),
            ],
        )
        .properties(height=height)
    )
    first = shown.iloc[0]
    alternative = f"The weightiest is {first['evidence'].replace('_', ' ')}: {first['log_odds']:+.2f}."
    return Figure(name, title, alternative, chart, rows, columns, height=height)


def _movable_rule(threshold: float) -> alt.Chart:
    """Return a vertical line at the parameter `threshold`, which the page moves."""
    return (
        alt.Chart(alt.Data(values=[{}]))
        .transform_calculate(at=_THRESHOLD)
        .mark_rule(style="reference")
        .encode(x=alt.X("at:Q"))
        .add_params(alt.param(name=_THRESHOLD, value=threshold))
    )
