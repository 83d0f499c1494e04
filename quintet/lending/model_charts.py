"""The figures of the scoring model and the what-if: each has a chart, its table and its main number in words.

With an empty frame, every function returns a figure without a chart whose note says what to do.
"""

from __future__ import annotations

import altair as alt
import pandas as pd

from quintet.ml.statistics import SHIFTED, STABLE
from quintet.presentation.design import Column, Figure, dots_on_intervals, format_value, plain_values, tooltips
from quintet.presentation.scales import line_scale
from quintet.presentation.wording import counted

KINDS = {"scorecard": "Scorecard", "boosted": "Gradient boosting"}
MEASURES = {"auc": "AUC", "gini": "Gini", "ks": "KS", "calibration_error": "Calibration error"}
INPUT_WORDS = {
    "base": "Starting points",
    "amount": "Amount",
    "duration_days": "Duration, days",
    "days_since_first_loan": "Days since first loan",
    "days_since_last_late_payment": "Days since last late payment",
    "late_payments_share": "Share of payments late",
    "open_loans_count": "Open loans",
    "outstanding_principal": "Outstanding principal",
    "overdue_loans_count": "Overdue loans",
    "paid_loans_count": "Paid loans",
    "profit_in_last_90_days_rate": "Profit rate, 90 days",
    "default_probability": "Probability of default",
}
_OUTCOMES = {"repaid": "Repaid", "overdue": "Not repaid", "open": "Not known"}
_SWAPS = {"in": "New approvals", "out": "No longer approved", "stays": "Approved by both"}
_FAIR_RATIO = 0.8
_HALF_STEP = 5
_NO_MODEL = (
    "No scoring model is trained yet: it needs loans that have ended. Start the change stream (`make stream`) and run "
    "`make run SELECT=lending`."
)


def model_figures(figures: pd.DataFrame) -> Figure:
    """Draw the quality of both kinds of model on later loans. figures: `ml.lending_model_figures`."""
    name, title = "lending-model-figures", "Quality of the scores on later loans, with 95% intervals"
    columns = (
        Column("measured", "Measure"),
        Column("model", "Model"),
        Column("value", "Value", "decimal"),
        Column("low", "From", "decimal"),
        Column("high", "To", "decimal"),
        Column("n", "Loans", "count"),
    )
    rows = figures.assign(model=figures["scores_of"].map(KINDS), measured=figures["measure"].map(MEASURES))
    if rows.empty:
        return _empty(name, title, rows, columns)
    height = 200
    base = alt.Chart(plain_values(rows[rows["measure"] != "calibration_error"], *(column.name for column in columns)))
    y = alt.Y("measured:N", title=None, sort=list(MEASURES.values()))
    offset = alt.YOffset("model:N", sort=list(KINDS.values()))
    colour = alt.Color("model:N", scale=alt.Scale(domain=list(KINDS.values())), legend=alt.Legend(title=None))
    x = alt.X("low:Q", title="Value", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(grid=True, format=".1f"))
    marks = dots_on_intervals(base, x, "high", "value", y=y, yOffset=offset, color=colour, tooltip=tooltips(columns))
    value_of = rows.set_index(["scores_of", "measure"])["value"]
    alternative = "; ".join(
        f"{KINDS[kind]}: AUC {value_of[kind, 'auc']:.3f}, probabilities off by "
        f"{format_value(value_of[kind, 'calibration_error'], 'percent')} on average"
        for kind in KINDS
        if (kind, "auc") in value_of
    )
    return Figure(
        name, title, f"{alternative}.", alt.layer(*marks).properties(height=height), rows, columns, height=height
    )


def calibration(bins: pd.DataFrame, kind: str) -> Figure:
    """Draw predicted against observed shares. bins: `ml.lending_model_calibration`; kind: the model to draw."""
    name, title = "lending-calibration", "Share of later loans not repaid, by predicted probability"
    columns = (
        Column("model", "Model"),
        Column("loans", "Loans", "count"),
        Column("mean_probability", "Predicted", "percent"),
        Column("default_share", "Observed", "percent"),
        Column("low", "From", "percent"),
        Column("high", "To", "percent"),
    )
    rows = bins.assign(model=bins["scores_of"].map(KINDS))
    shown = rows[rows["scores_of"] == kind]
    if shown.empty:
        return _empty(name, title, rows, columns)
    height, most = 300, float(max(shown["mean_probability"].max(), shown["high"].max())) * 1.05
    scale = alt.Scale(domain=[0, most])
    x = alt.X("mean_probability:Q", title="Predicted probability", scale=scale, axis=alt.Axis(format=".0%"))
    base, tips = alt.Chart(plain_values(shown, *(column.name for column in columns))), tooltips(columns)
    exact = (
        alt.Chart(alt.Data(values=[{"at": 0.0}, {"at": most}]))
        .mark_line(style="reference")
        .encode(x=alt.X("at:Q", scale=scale), y=alt.Y("at:Q", scale=scale))
    )
    share = alt.Y("low:Q", title="Share not repaid", scale=scale, axis=alt.Axis(format=".0%", grid=True))
    intervals = base.mark_rule(opacity=0.5, strokeWidth=2).encode(x=x, y=share, y2="high:Q", tooltip=tips)
    dots = base.mark_point().encode(x=x, y=alt.Y("default_share:Q", scale=scale), tooltip=tips)
    inside = int(((shown["mean_probability"] >= shown["low"]) & (shown["mean_probability"] <= shown["high"])).sum())
    alternative = (
        f"{inside} of {counted(len(shown), 'bin')} of later loans have the predicted probability within their interval."
    )
    note = "On the dashed line, predicted and observed shares are equal; lines are 95% intervals."
    chart = alt.layer(exact, intervals, dots).properties(height=height)
    return Figure(name, title, alternative, chart, rows, columns, note=note, height=height)


def points(bins: pd.DataFrame) -> Figure:
    """Draw the scorecard. bins: `ml.lending_model_points`."""
    name, title = "lending-points", "Points of the scorecard, by bin of each input"
    columns = (
        Column("words", "Input"),
        Column("span", "From, up to below"),
        Column("points", "Points", "count"),
        Column("loans", "Loans", "count"),
        Column("default_share", "Not repaid", "percent"),
        Column("reason", "Reason code"),
    )
    rows = bins.assign(words=bins["input"].map(INPUT_WORDS), span=_spans(bins))
    shown = rows[rows["input"] != "base"]
    if shown.empty:
        return _empty(name, title, rows, columns)
    shown = shown[~shown["is_null"].astype(bool) | (shown["points"] != 0)]
    shown = shown.assign(label=shown["words"] + ": " + shown["span"])
    height = 18 * len(shown) + 40
    tips = tooltips(columns)
    chart = (
        alt.Chart(plain_values(shown, "label", *(column.name for column in columns)))
        .mark_bar()
        .encode(
            x=alt.X("points:Q", title="Points; more is safer", axis=alt.Axis(grid=True)),
            y=alt.Y("label:N", title=None, sort=None, axis=alt.Axis(labelLimit=260)),
            tooltip=tips,
        )
        .properties(height=height)
    )
    spread = shown.groupby("words")["points"].agg(lambda points: points.max() - points.min()).sort_values()
    alternative = f"{spread.index[-1]} moves the score most, by up to {int(spread.iloc[-1])} points."
    note = "20 points more halve the odds of default; 500 are even odds. " + (
        f"Every applicant starts with {int(rows.loc[rows['input'] == 'base', 'points'].iloc[0])}."
    )
    return Figure(name, title, alternative, chart, rows, columns, note=note, height=height)


def _spans(bins: pd.DataFrame) -> list[str]:
    words = []
    for row in bins.to_dict("records"):
        lower, upper = (None if pd.isna(row[end]) else f"{row[end]:,.4g}" for end in ("lower", "upper"))
        if row["input"] == "base":
            words.append("")
        elif row["is_null"]:
            words.append("null")
        elif lower is None:
            words.append("all values" if upper is None else f"below {upper}")
        else:
            words.append(f"from {lower}" if upper is None else f"{lower} to {upper}")
    return words


def distribution(counts: pd.DataFrame) -> Figure:
    """Draw the distribution of points. counts: `ml.lending_model_distribution`."""
    name, title = "lending-points-distribution", "Applications by points and outcome"
    columns = (
        Column("points", "Points from", "count"),
        Column("words", "Outcome"),
        Column("applications", "Applications", "count"),
    )
    rows = counts.groupby(["points", "outcome"], as_index=False)["applications"].sum()
    rows = rows.assign(words=rows["outcome"].map(_OUTCOMES))
    if rows.empty:
        return _empty(name, title, rows, columns)
    height = 280
    chart = (
        alt.Chart(
            plain_values(rows.assign(to=rows["points"] + 2 * _HALF_STEP), "points", "to", "words", "applications")
        )
        .mark_bar(cornerRadiusEnd=0)
        .encode(
            x=alt.X("points:Q", bin="binned", title="Points; more is safer"),
            x2="to:Q",
            y=alt.Y("applications:Q", title="Applications", stack="zero", axis=alt.Axis(grid=True, format="~s")),
            color=alt.Color("words:N", scale=alt.Scale(domain=list(_OUTCOMES.values())), legend=alt.Legend(title=None)),
            tooltip=tooltips(columns),
        )
        .properties(height=height)
    )
    known = rows[rows["outcome"] != "open"]
    total = known.groupby("outcome")["applications"].sum()
    middle = {
        outcome: int(((part["points"] + _HALF_STEP) * part["applications"]).sum() / part["applications"].sum())
        for outcome, part in known.groupby("outcome")
    }
    alternative = "; ".join(
        f"{_OUTCOMES[str(outcome)]}: {counted(int(total[outcome]), 'loan')}, about {mean} points on average"
        for outcome, mean in middle.items()
    )
    return Figure(name, title, f"{alternative or 'No outcome is known'}.", chart, rows, columns, height=height)


def fairness(bands: pd.DataFrame) -> Figure:
    """Draw approvals by age band. bands: `ml.lending_model_fairness`."""
    name, title = "lending-fairness", "Approvals by age, which is no input of the model"
    columns = (
        Column("age_band", "Age, years"),
        Column("applications", "Applications", "count"),
        Column("approval_share", "Approved", "percent"),
        Column("approval_ratio", "To the highest", "decimal"),
        Column("loans", "Later loans", "count"),
        Column("mean_probability", "Default predicted", "percent"),
        Column("default_share", "Default observed", "percent"),
        Column("auc", "AUC", "decimal"),
        Column("auc_low", "From", "decimal"),
        Column("auc_high", "To", "decimal"),
    )
    if bands.empty:
        return _empty(name, title, bands, columns)
    height = 220
    chart = (
        alt.Chart(plain_values(bands, *(column.name for column in columns)))
        .mark_bar()
        .encode(
            x=alt.X(
                "age_band:N",
                title="Age at the application, years",
                sort=None,
                axis=alt.Axis(labelAngle=0, labelExpr="replace(replace(datum.label, ' and above', '+'), ' to ', '–')"),
            ),
            y=alt.Y(
                "approval_share:Q",
                title="Approved",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format=".0%", grid=True),
            ),
            tooltip=tooltips(columns),
        )
        .properties(height=height)
    )
    alternative = "No application is approved."
    if bands["approval_ratio"].notna().any():
        lowest = bands.sort_values("approval_ratio").to_dict("records")[0]
        ratio = lowest["approval_ratio"]
        advice = "Review it" if ratio < _FAIR_RATIO else "It needs no review"
        alternative = (
            f"The lowest share of approvals has the band {lowest['age_band']}: {ratio:.2f} of the highest. {advice}: "
            f"the limit is {_FAIR_RATIO:.2f}."
        )
    return Figure(name, title, alternative, chart, bands, columns, height=height)


def stability(inputs: pd.DataFrame) -> Figure:
    """Draw the drift of the inputs. inputs: `ml.lending_model_stability`."""
    name, title = (
        "lending-stability",
        "Drift of later applications against earlier ones, population stability index",
    )
    columns = (
        Column("words", "Input"),
        Column("psi", "PSI", "decimal"),
        Column("state", "State"),
        Column("null_before", "Null before", "percent"),
        Column("null_after", "Null after", "percent"),
    )
    rows = inputs.assign(words=inputs["input"].map(INPUT_WORDS), state=[_state(psi) for psi in inputs["psi"]])
    if rows.empty:
        return _empty(name, title, rows, columns)
    height = 26 * len(rows) + 40
    bars = (
        alt.Chart(plain_values(rows, *(column.name for column in columns)))
        .mark_bar()
        .encode(
            x=alt.X("psi:Q", title="PSI", axis=alt.Axis(grid=True)),
            y=alt.Y("words:N", title=None, sort=None, axis=alt.Axis(labelLimit=220)),
            tooltip=tooltips(columns),
        )
    )
    limits = alt.Chart(alt.Data(values=[{"at": STABLE}, {"at": SHIFTED}])).mark_rule(style="reference").encode(x="at:Q")
    alternative = "No drift can be computed yet."
    if rows["psi"].notna().any():
        first = rows.sort_values("psi", ascending=False).iloc[0]
        alternative = f"{first['words']} moved most: {first['psi']:.3f}, {first['state']}."
    note = f"Below {STABLE} stable, from {SHIFTED} on shifted (dashed)."
    chart = alt.layer(bars, limits).properties(height=height)
    return Figure(name, title, alternative, chart, rows, columns, note=note, height=height)


def _state(psi: float) -> str:
    if pd.isna(psi):
        return "not known"
    return "stable" if psi < STABLE else "moved" if psi < SHIFTED else "shifted"


def cut_offs(table: pd.DataFrame, approve_below: float) -> Figure:
    """Draw approvals and losses by limit of approval. table: `ml.lending_what_if`; approve_below: the chosen limit."""
    name, title = "lending-cut-offs", "Approvals against expected loss, by limit of approval"
    columns = (
        Column("approve_below", "Approve below", "percent"),
        Column("approval_share", "Approved", "percent"),
        Column("approvals", "Approvals", "count"),
        Column("amount", "Lent", "money"),
        Column("expected_loss_share", "Expected loss", "percent"),
        Column("default_share", "Realised defaults", "percent"),
        Column("known_outcomes", "Of loans", "count"),
        Column("swapped_in_applications", "Swapped in", "count"),
        Column("swapped_in_default_share", "Their defaults", "percent"),
        Column("swapped_out_applications", "Swapped out", "count"),
        Column("swapped_out_default_share", "Their defaults", "percent"),
    )
    if table.empty:
        return _empty(name, title, table, columns)
    rows = table.sort_values("approve_below")
    nearest = int((rows["approve_below"] - approve_below).abs().to_numpy().argmin())
    words = ["chosen" if place == nearest else "" for place in range(len(rows))]
    rows = rows.assign(mark=[
        "active" if is_active else word for is_active, word in zip(rows["is_active"], words, strict=True)
    ])  # fmt: skip
    height = 300
    base = alt.Chart(plain_values(rows, "mark", *(column.name for column in columns)))
    across, at_zero = line_scale(rows["expected_loss_share"], "horizontal axis")
    upwards, also = line_scale(rows["approval_share"], "vertical axis")
    x = alt.X("expected_loss_share:Q", title="Expected loss, share of what is lent", scale=across,
              axis=alt.Axis(format=".0%"))  # fmt: skip
    y = alt.Y("approval_share:Q", title="Approved", scale=upwards, axis=alt.Axis(format=".0%", grid=True))
    order = alt.Order("approve_below:Q")
    tips = tooltips(columns)
    line = base.mark_line(opacity=0.6).encode(x=x, y=y, order=order)
    dots = base.mark_point().encode(x=x, y=y, tooltip=tips)
    labels = base.mark_text(style="label-strong", dy=-14).encode(x=x, y=y, text="mark:N")
    active = rows[rows["is_active"].astype(bool)].to_dict("records")
    alternative = "The limit of the active policy is none of these."
    if active:
        alternative = (
            f"The active policy approves below {active[0]['approve_below']:.0%}: "
            f"{format_value(active[0]['approval_share'], 'percent')} of applications, "
            f"expected loss {format_value(active[0]['expected_loss_share'], 'percent')} of what is lent."
        )
    note = " ".join(one for one in (at_zero, also, "Rules and the limit of rejection stay as they are.") if one)
    chart = alt.layer(line, dots, labels).properties(height=height)
    return Figure(name, title, alternative, chart, rows, columns, note=note, height=height)


def swaps(sets: pd.DataFrame) -> Figure:
    """Draw the applications that only one of two policies approves. sets: `what_if.WhatIf.swaps`."""
    name, title = "lending-swaps", "Share not repaid among swapped applications, with 95% intervals"
    columns = (
        Column("words", "Applications"),
        Column("applications", "Count", "count"),
        Column("amount", "Amount", "money"),
        Column("expected_loss", "Expected loss", "money"),
        Column("known_outcomes", "Outcome known", "count"),
        Column("default_share", "Not repaid", "percent"),
        Column("default_share_low", "From", "percent"),
        Column("default_share_high", "To", "percent"),
    )
    rows = sets.assign(words=sets["swap"].map(_SWAPS))
    known = rows[rows["known_outcomes"] > 0]
    if known.empty:
        note = "None of these applications has a known outcome." if len(rows) else _NO_MODEL
        return Figure(name, title, "There is nothing to show.", None, rows, columns, note=note)
    height = 160
    base = alt.Chart(plain_values(known, *(column.name for column in columns)))
    y = alt.Y("words:N", title=None, sort=list(_SWAPS.values()), axis=alt.Axis(labelLimit=180))
    x = alt.X("default_share_low:Q", title="Share not repaid", axis=alt.Axis(format=".0%", grid=True))
    marks = dots_on_intervals(base, x, "default_share_high", "default_share", y=y, tooltip=tooltips(columns))
    alternative = "; ".join(
        f"{row['words']}: {format_value(row['default_share'], 'percent')} of "
        f"{counted(int(row['known_outcomes']), 'loan')}"
        for row in known.to_dict("records")
    )
    note = "Outcomes are known only for loans that were issued, whatever this policy decides."
    chart = alt.layer(*marks).properties(height=height)
    return Figure(name, title, f"{alternative}.", chart, rows, columns, note=note, height=height)


def _empty(name: str, title: str, table: pd.DataFrame, columns: tuple[Column, ...]) -> Figure:
    return Figure(name, title, "There is nothing to show.", None, table, columns, note=_NO_MODEL)
