"""The promotions figures: each turns a frame into a chart, its table and a sentence with the main number.

For an empty frame, a function returns a figure without a chart whose note says what to do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from quintet.presentation.design import Column, Figure, format_value, plain_values
from quintet.promotions.overview import Grain, Ranking

MOST_DRAWN = 40
"""The most accounts of a cluster that are drawn; the table has all."""

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
KINDS = {
    "device": "device",
    "email": "e-mail",
    "phone": "phone",
    "phone_block": "phone block",
    "ip": "IP address",
    "subnet": "network",
    "code_burst": "code and days",
}

_NO_ROWS = "No user or usage has been loaded yet. Drop files into the inboxes of promotions and run `make run`."
_NO_LABELS = (
    "This needs labelled abusers and labelled honest users. Confirm or clear users on this page, or add `is_abuser` to "
    "a users file; the next run trains on them."
)
_SERIES = {"registrations": "Registrations", "usages": "Usages"}
_THRESHOLD = "threshold"
_ABUSERS = ["Accounts", "Labelled abusers"]
_SHORT = "datum.value < 1000 ? format(datum.value, 'd') : format(datum.value, '~s')"
_POWERS = [0, *(10**power for power in range(8))]
_COUNT_AXIS = alt.Axis(title="Accounts, symmetric log scale", labelExpr=_SHORT, grid=True, values=_POWERS)


def registrations_and_usages(timeline: pd.DataFrame, grain: Grain) -> Figure:
    """Return the chart of both counts over time. timeline: as `overview.timeline`."""
    name, height = "registrations-and-usages", 320
    title = f"Registrations and uses of codes by {grain}"
    columns = (Column("period", grain.capitalize()), *(Column(key, label, "count") for key, label in _SERIES.items()))
    rows = timeline.assign(period=[f"{start:%Y-%m-%d}" for start in timeline["start"]])
    if rows.empty:
        return _empty(name, title, rows, columns, _NO_ROWS)
    long = rows.melt("period", list(_SERIES), "series", "count").assign(
        series=lambda frame: frame["series"].map(_SERIES)
    )
    x = alt.X("period:T", title=None, axis=alt.Axis(grid=False, labelOverlap=True))
    cursor = alt.selection_point(
        name="cursor", nearest=True, on="pointerover", fields=["period"], empty=False, clear="pointerout"
    )
    lines = (
        alt.Chart(plain_values(long, "period", "series", "count"))
        .mark_line(strokeWidth=1.75)
        .encode(
            x=x,
            y=alt.Y("count:Q", title=f"Count by {grain}", axis=alt.Axis(grid=True, format="~s")),
            color=alt.Color("series:N", scale=alt.Scale(domain=list(_SERIES.values())), legend=alt.Legend(title=None)),
        )
    )
    rule = (
        alt.Chart(plain_values(rows, "period", *_SERIES))
        .mark_rule(style="cursor")
        .encode(
            x=x,
            opacity=alt.condition(cursor, alt.value(1), alt.value(0)),
            tooltip=[
                alt.Tooltip("period:T", title=grain.capitalize()),
                *(alt.Tooltip(f"{key}:Q", title=label, format=",") for key, label in _SERIES.items()),
            ],
        )
        .add_params(cursor)
    )
    signed_up, used = int(rows["registrations"].sum()), int(rows["usages"].sum())
    peak = rows.nlargest(1, "usages").iloc[0]
    alternative = (
        f"{signed_up:,} registrations and {used:,} uses from {rows['period'].iloc[0]} to {rows['period'].iloc[-1]}; "
        f"most uses in the {grain} of {peak['period']}: {int(peak['usages']):,}."
    )
    chart = alt.layer(lines, rule).properties(height=height)
    table = rows.sort_values("period", ascending=False)
    return Figure(name, title, alternative, chart, table, columns, height=height)


def top_users(ranking: Ranking) -> Figure:
    """Return the chart of the users with the most uses, with a note on ties."""
    columns = (
        Column("user_id", "User", "identifier"),
        Column("uses", "Uses", "count"),
        Column("codes", "Codes", "count"),
        Column("score", "Score", "decimal"),
        Column("decision", "Decision"),
    )
    return _ranked("top-users", "Users", "users", "user_id", ranking, columns)


def top_codes(ranking: Ranking) -> Figure:
    """Return the chart of the codes with the most uses."""
    columns = (
        Column("promo_code", "Code", "identifier"),
        Column("uses", "Uses", "count"),
        Column("users", "Users", "count"),
        Column("discount_type", "Discount"),
        Column("discount_value", "Value", "decimal"),
    )
    return _ranked("top-codes", "Codes", "codes", "promo_code", ranking, columns)


def clusters_by_uses(clusters: pd.DataFrame, count: int = 10) -> Figure:
    """Return the chart of the clusters with the most uses. clusters: as `overview.clusters`, by uses."""
    columns = (
        Column("cluster_id", "Cluster", "identifier"),
        Column("uses", "Uses", "count"),
        Column("accounts", "Accounts", "count"),
        Column("top_code", "Code used most"),
        Column("top_code_uses", "Its uses", "count"),
    )
    shown = clusters.head(count)
    tied = int((clusters["uses"] == shown["uses"].iloc[-1]).sum()) if len(shown) else 0
    return _ranked(
        "clusters-by-uses", "Clusters", "clusters", "cluster_id", Ranking(shown, tied, len(clusters)), columns
    )


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
        return _empty(name, title, rows.head(0), columns, _NO_ROWS)
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
    chart = alt.layer(bars, dots, _movable_rule(threshold)).properties(height=height)
    above = int(rows.loc[rows["low"] >= 0.5, "accounts"].sum())
    alternative = f"{above:,} of {int(rows['accounts'].sum()):,} accounts have a score of 0.5 or more."
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
        return _empty(name, title, rows, columns, _NO_LABELS)
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
        return _empty(name, title, rows, columns, _NO_LABELS)
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
    bands = base.mark_rule(style="interval-80").encode(x=x, x2="high:Q", y=y, tooltip=tips)
    dots = base.mark_point(size=80).encode(x="value:Q", y=y, tooltip=tips)
    chart = alt.layer(bands, dots).properties(height=height)
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
        return _empty(name, title, rows, columns, _NO_ROWS)
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


def cluster_graph(members: pd.DataFrame, keys: pd.DataFrame) -> Figure:
    """Return the graph of a cluster: its accounts around the keys they share. members, keys: as in `overview`."""
    name, height = "cluster-graph", 420
    columns = (
        Column("user_id", "Account", "identifier"),
        Column("kind", "Shares"),
        Column("key", "Which"),
        Column("sharers", "Accounts with it", "count"),
    )
    table = keys.assign(kind=keys["kind"].map(KINDS))
    if members.empty:
        return _empty(name, "A cluster as a graph", table, columns, "Choose a cluster in the table.")
    drawn = members.head(MOST_DRAWN)
    accounts, shared, edges = _layout(drawn, keys[keys["user_id"].isin(drawn["user_id"])])
    title = f"Cluster of {members['user_id'].min()}: {len(members)} accounts and what they share"
    scale, none = alt.Scale(domain=[-1.25, 1.25]), None
    x, y = alt.X("x:Q", axis=none, scale=scale), alt.Y("y:Q", axis=none, scale=scale)
    lines = alt.Chart(plain_values(edges, "x", "y", "x2", "y2")).mark_rule(style="cursor", opacity=0.5).encode(
        x=x, y=y, x2="x2:Q", y2="y2:Q"
    )  # fmt: skip
    things = (
        alt.Chart(plain_values(shared, "x", "y", "what", "key", "accounts"))
        .mark_point(shape="square", size=90)
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "what:N", legend=alt.Legend(title=None), scale=alt.Scale(domain=sorted(shared["what"].unique()))
            ),
            tooltip=[
                alt.Tooltip("what:N", title="Shared"),
                alt.Tooltip("key:N", title="Which"),
                alt.Tooltip("accounts:Q", title="Accounts here"),
            ],
        )
    )
    tips = [
        alt.Tooltip("user_id:N", title="Account"),
        alt.Tooltip("score:Q", title="Score", format=".3f"),
        alt.Tooltip("decision:N", title="Decision"),
        alt.Tooltip("label:N", title="Label"),
    ]
    people = alt.Chart(plain_values(accounts, "x", "y", "user_id", "short", "score", "decision", "label", "mark"))
    dots = people.mark_text(fontSize=15).encode(x=x, y=y, text="mark:N", tooltip=tips)
    names = people.mark_text(style="label", dy=15).encode(x=x, y=y, text="short:N", tooltip=tips)
    chart = alt.layer(lines, things, dots, names).properties(height=height)
    blocked = int((members["decision"] == "block").sum())
    kinds = sorted(set(table["kind"]))
    shares = ", ".join(kinds) or "no stored key"
    alternative = f"{len(members)} accounts, {blocked} to block; they share {shares}."
    left_out = len(members) - len(drawn)
    note = " ".join(
        [
            "Each account (● to block, ◐ to review, ○ to allow) is joined to the squares of the keys it shares.",
            f"The first {MOST_DRAWN} are drawn; {left_out} more are in the table." if left_out else "",
        ]
    ).strip()
    return Figure(name, title, alternative, chart, table, columns, note=note, height=height)


_MARKS = {"block": "●", "review": "◐", "allow": "○"}
_ID_SHOWN = 8


def _layout(members: pd.DataFrame, keys: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return positions from -1 to 1: accounts on a circle, shared keys between their accounts."""
    angle = 2 * math.pi * np.arange(len(members)) / max(len(members), 1)
    label = members["is_abuser"].map({True: "abuser", False: "honest"}).fillna("none")
    accounts = members.assign(
        x=np.sin(angle),
        y=np.cos(angle),
        short=members["user_id"].str.slice(0, _ID_SHOWN),
        mark=members["decision"].map(_MARKS),
        label=label,
    )
    placed = keys.merge(accounts[["user_id", "x", "y"]], on="user_id")
    shared = placed.groupby(["kind", "key"], as_index=False).agg(
        x=("x", "mean"), y=("y", "mean"), accounts=("user_id", "nunique")
    )
    # Keys that all accounts share would coincide at the centre: shift each kind in its own direction.
    turn = shared["kind"].map({kind: place for place, kind in enumerate(KINDS)}).to_numpy(dtype=float)
    place = shared.groupby(["kind"]).cumcount().to_numpy(dtype=float)
    bend = 2 * math.pi * (turn / len(KINDS) + place / 29)
    shared = shared.assign(
        x=0.6 * shared["x"] + 0.28 * np.sin(bend), y=0.6 * shared["y"] + 0.28 * np.cos(bend),
        what=shared["kind"].map(KINDS),
    )  # fmt: skip
    edges = placed.merge(shared[["kind", "key", "x", "y"]], on=["kind", "key"], suffixes=("", "2"))
    return accounts, shared, edges


def _ranked(name: str, which: str, unit: str, key: str, ranking: Ranking, columns: Sequence[Column]) -> Figure:
    rows = ranking.rows
    title = f"{which} with the most uses of codes, first {len(rows)} of {ranking.total:,}"
    if rows.empty:
        return _empty(name, title, rows, tuple(columns), _NO_ROWS if unit != "clusters" else "No accounts are linked.")
    height = 26 * len(rows) + 16
    names = rows[key].astype(str).tolist()
    base = alt.Chart(plain_values(rows.assign(**{key: names}), key, "uses"))
    y = alt.Y(f"{key}:N", title=None, sort=names, axis=alt.Axis(labelLimit=110), scale=alt.Scale(paddingInner=0.32))
    x = alt.X("uses:Q", axis=None, scale=alt.Scale(domainMin=0, domainMax=float(rows["uses"].max()) * 1.16))
    tips = [alt.Tooltip(f"{key}:N", title=columns[0].label), alt.Tooltip("uses:Q", title="Uses", format=",")]
    bars = base.mark_bar().encode(x=x, y=y, tooltip=tips)
    labels = base.mark_text(style="label", align="left", dx=5).encode(x=x, y=y, text=alt.Text("uses:Q", format=","))
    last = int(rows["uses"].iloc[-1])
    times = "once" if last == 1 else f"{last:,} times"
    note = ""
    if ranking.left_out and ranking.tied == ranking.total:
        note = (
            f"This is not a ranking: all {ranking.total:,} {unit} that used codes did so {times}, "
            f"and {ranking.left_out:,} of them are not shown."
        )
    elif ranking.left_out:
        note = f"{ranking.tied:,} {unit} tie at {last:,}; {ranking.left_out:,} of them are not shown."
    alternative = (
        f"{columns[0].label} {names[0]} comes first with {int(rows['uses'].iloc[0]):,}; the last shown has {last:,}."
    )
    chart = alt.layer(bars, labels).properties(height=height)
    return Figure(name, title, alternative, chart, rows, tuple(columns), note=note, height=height)


def _movable_rule(threshold: float) -> alt.Chart:
    """Return a vertical line at the parameter `threshold`, which the page moves."""
    return (
        alt.Chart(alt.Data(values=[{}]))
        .transform_calculate(at=_THRESHOLD)
        .mark_rule(style="reference")
        .encode(x=alt.X("at:Q"))
        .add_params(alt.param(name=_THRESHOLD, value=threshold))
    )


def _empty(name: str, title: str, table: pd.DataFrame, columns: tuple[Column, ...], note: str) -> Figure:
    return Figure(name, title, "There is nothing to show.", None, table, columns, note=note)
