"""The figures of the decisions page: each has a chart, its table and a sentence with the main number."""

from __future__ import annotations

import math

import altair as alt
import pandas as pd

from quintet.lending.decision_tables import DECISIONS, FEWEST_FOR_DRIFT
from quintet.ml.statistics import SHIFTED, STABLE
from quintet.presentation.design import Column, Figure, format_value, tooltips
from quintet.presentation.wording import counted

LIMIT_MS = 1_000
"""The limit of the time from request to decision."""

_LEAST_MS = 0.1
"""The shortest time that a logarithmic axis shows; a shorter one is drawn as this."""

_NOTHING = "There is nothing to draw."
_NONE_YET = "No application was decided in this time. Send one to `/v1/lending/decisions`, or run `make simulate`."
_HEIGHT = 240

_LATENCY_COLUMNS = (
    Column("at", "From, UTC", "moment"),
    Column("decisions", "Decisions", "count"),
    Column("p50_ms", "Median", "decimal", "ms"),
    Column("p99_ms", "99th percentile", "decimal", "ms"),
    Column("slowest_ms", "Slowest", "decimal", "ms"),
    Column("waited_p99_ms", "Wait for the stream, 99th percentile", "decimal", "ms"),
)
_SHARE_COLUMNS = (
    Column("at", "From, UTC", "moment"),
    Column("decision", "Decision"),
    Column("decisions", "Decisions", "count"),
    Column("share", "Share", "percent"),
)
_SCORE_COLUMNS = (
    Column("low", "From", "decimal"),
    Column("high", "Below", "decimal"),
    Column("decision", "Decision"),
    Column("decisions", "Decisions", "count"),
)
_REASON_COLUMNS = (
    Column("code", "Reason"),
    Column("decisions", "Decisions", "count"),
    Column("share", "Of all", "percent"),
    *(Column(name, name.capitalize(), "count") for name in DECISIONS),
)
_DRIFT_COLUMNS = (
    Column("figure", "Figure"),
    Column("psi", "Stability index", "decimal"),
    Column("null_before", "Missing before", "percent"),
    Column("null_within", "Missing now", "percent"),
    Column("median_before", "Median before", "decimal"),
    Column("median_within", "Median now", "decimal"),
)
_SERIES = {"p50_ms": "Median", "p99_ms": "99th percentile", "waited_p99_ms": "Wait for the stream, 99th percentile"}


def latency_figure(rows: pd.DataFrame) -> Figure:
    """Draw median and 99th percentile over time against the limit of one second. rows: of `latencies`."""
    title = "Milliseconds to a decision, against the limit of one second"
    if rows.empty:
        return Figure("latency", title, _NOTHING, None, rows, _LATENCY_COLUMNS, _NONE_YET, 160)
    lines = rows.melt(["at", "decisions"], [*_SERIES], "what", "ms").dropna(subset=["ms"])
    lines = lines.assign(what=lines["what"].map(_SERIES), ms=lines["ms"].clip(lower=_LEAST_MS))
    powers = _powers_of_ten(float(lines["ms"].min()), max(float(lines["ms"].max()), 2 * LIMIT_MS))
    drawn = alt.Chart(lines).encode(
        x=_time(rows),
        y=alt.Y(
            "ms:Q",
            scale=alt.Scale(type="log", domain=[powers[0], powers[-1]], nice=False),
            axis=alt.Axis(title="Milliseconds, logarithmic", values=powers, grid=True, format=",~f"),
        ),
        color=alt.Color("what:N", sort=list(_SERIES.values())),
        tooltip=[
            alt.Tooltip("at:T", title="From", format="%Y-%m-%d %H:%M"),
            alt.Tooltip("what:N", title="What"),
            alt.Tooltip("ms:Q", title="Milliseconds", format=",.1f"),
            alt.Tooltip("decisions:Q", title="Decisions", format=",.0f"),
        ],
    )
    limit = alt.Chart(pd.DataFrame({"ms": [LIMIT_MS]})).mark_rule(style="reference").encode(y="ms:Q")
    label = (
        alt.Chart(pd.DataFrame({"ms": [LIMIT_MS], "text": ["one second"]}))
        .mark_text(style="label", align="right", dy=-7, x="width")
        .encode(y="ms:Q", text="text:N")
    )
    slowest = float(rows["slowest_ms"].max())
    sentence = (
        f"{counted(int(rows['decisions'].sum()), 'decision')}; the slowest took {format_value(slowest, 'count')} ms, "
        f"{'above' if slowest > LIMIT_MS else 'within'} the limit of {LIMIT_MS:,} ms."
    )
    chart = alt.layer(limit, label, drawn.mark_line(), drawn.mark_point(size=20)).properties(height=_HEIGHT)
    waited = rows["total_waited_ms"].sum() / rows["total_ms"].sum() if rows["total_ms"].sum() > 0 else 0.0
    note = (
        "From the arrival of the request until the decision is written to the disk; the wait until the stream has "
        f"applied the application's commit is {format_value(waited, 'percent')} of it."
    )
    return Figure("latency", title, sentence, chart, rows, _LATENCY_COLUMNS, note, _HEIGHT)


def shares_figure(rows: pd.DataFrame) -> Figure:
    """Draw the shares of the decisions over time. rows: of `shares`."""
    title = "Share of applications approved, referred and rejected"
    if rows.empty:
        return Figure("shares", title, _NOTHING, None, rows, _SHARE_COLUMNS, _NONE_YET, 160)
    chart = (
        alt.Chart(rows.assign(place=rows["decision"].map(DECISIONS.index)))
        .mark_bar(fillOpacity=0.75, cornerRadiusEnd=0)
        .encode(
            x=_time(rows),
            x2="until:T",
            y=alt.Y(
                "decisions:Q", stack="normalize", axis=alt.Axis(title="Share of decisions", format=".0%", grid=True)
            ),
            color=_by_decision(),
            order=alt.Order("place:Q"),
            tooltip=[
                alt.Tooltip("at:T", title="From", format="%Y-%m-%d %H:%M"),
                alt.Tooltip("decision:N", title="Decision"),
                alt.Tooltip("decisions:Q", title="Decisions", format=",.0f"),
                alt.Tooltip("share:Q", title="Share", format=".1%"),
            ],
        )
        .properties(height=_HEIGHT)
    )
    counts = rows.groupby("decision")["decisions"].sum()
    text = ", ".join(f"{format_value(counts.get(name, 0) / counts.sum(), 'percent')} {name}" for name in DECISIONS)
    return Figure("shares", title, f"{text}, of {int(counts.sum()):,}.", chart, rows, _SHARE_COLUMNS, "", _HEIGHT)


def scores_figure(rows: pd.DataFrame, decided: int, approve_below: float | None, reject_from: float | None) -> Figure:
    """Draw the distribution of scores by decision, with the policy's cut-offs.

    rows: of `scores`. decided: how many decisions there are, with and without a score.
    """
    title = "Decisions by probability of default"
    if rows.empty:
        note = (
            _without(decided, "score", "A decision has none without features or a scoring model.")
            if decided
            else _NONE_YET
        )
        return Figure("scores", title, _NOTHING, None, rows, _SCORE_COLUMNS, note, 160)
    bars = (
        alt.Chart(rows.assign(place=rows["decision"].map(DECISIONS.index)))
        .mark_bar(cornerRadiusEnd=0)
        .encode(
            x=alt.X(
                "low:Q",
                bin="binned",
                scale=alt.Scale(domain=[0, 1], nice=False),
                axis=alt.Axis(title="Probability of default", format=".0%"),
            ),
            x2="high:Q",
            y=alt.Y("decisions:Q", stack="zero", axis=alt.Axis(title="Decisions", grid=True)),
            color=_by_decision(),
            order=alt.Order("place:Q"),
            tooltip=tooltips(_SCORE_COLUMNS),
        )
    )
    cuts = [(approve_below, "approve below", 6), (reject_from, "reject from", 22)]
    marks = [mark for at, text, y in cuts if at is not None for mark in _cut(at, text, y)]
    scored = int(rows["decisions"].sum())
    mean = (rows["decisions"] * rows["mean_score"]).sum() / scored
    sentence = f"{scored:,} of {decided:,} scored; a default is expected of {format_value(mean, 'percent')} of them."
    chart = alt.layer(bars, *marks).properties(height=_HEIGHT)
    note = (
        "Cut-offs are the active policy's. A decision on the other side of one comes from a rule, from missing history "
        "or from an earlier policy."
    )
    return Figure("scores", title, sentence, chart, rows, _SCORE_COLUMNS, note, _HEIGHT)


def _cut(at: float, text: str, y: float) -> list[alt.Chart]:
    """Return a rule at a probability, and its text on the side that has more room. y: px from the top."""
    base = alt.Chart(pd.DataFrame({"at": [at], "text": [text]})).encode(x="at:Q")
    is_right = at > 0.5
    label = base.mark_text(style="label", align="right" if is_right else "left", dx=-4 if is_right else 4, y=y)
    return [base.mark_rule(style="reference"), label.encode(text="text:N")]


def reasons_figure(rows: pd.DataFrame, decided: int) -> Figure:
    """Draw how often each reason was given. rows: of `reasons`. decided: how many decisions there are."""
    title = "Reasons given, number of decisions"
    if rows.empty:
        note = _without(decided, "reason", "An approval needs none.") if decided else _NONE_YET
        return Figure("reasons", title, _NOTHING, None, rows, _REASON_COLUMNS, note, 120)
    height = 26 * len(rows) + 30
    chart = (
        alt.Chart(rows)
        .mark_bar()
        .encode(
            y=alt.Y("code:N", sort="-x", axis=alt.Axis(title=None, labelLimit=260)),
            x=alt.X("decisions:Q", axis=alt.Axis(title="Decisions", grid=True)),
            tooltip=tooltips(_REASON_COLUMNS),
        )
        .properties(height=height)
    )
    first = rows.iloc[0]
    sentence = f"{first['code']} is the most frequent: in {format_value(first['share'], 'percent')} of decisions."
    note = "A decision may have several reasons."
    return Figure("reasons", title, sentence, chart, rows, _REASON_COLUMNS, note, height)


def drift_figure(rows: pd.DataFrame, is_split: bool = False) -> Figure:
    """Draw the drift of each figure. rows: of `drift`. is_split: whether it compares the halves of this time."""
    title = "Drift of the figures, population stability index"
    if rows.empty:
        note = (
            f"Drift needs at least {FEWEST_FOR_DRIFT} decisions with features in this time and as many before it, or "
            f"{2 * FEWEST_FOR_DRIFT} in this time."
        )
        return Figure("drift", title, _NOTHING, None, rows, _DRIFT_COLUMNS, note, 120)
    height = 26 * len(rows) + 30
    base = alt.Chart(rows)
    bars = base.mark_bar().encode(
        y=alt.Y("figure:N", sort=rows["figure"].tolist(), axis=alt.Axis(title=None, labelLimit=260)),
        x=alt.X("psi:Q", axis=alt.Axis(title="Stability index", grid=True)),
        tooltip=tooltips(_DRIFT_COLUMNS),
    )
    marks = alt.Chart(pd.DataFrame({"psi": [STABLE, SHIFTED]})).mark_rule(style="reference").encode(x="psi:Q")
    compared = "the second half of this time with the first" if is_split else "this time with the time before it"
    note = f"Below {STABLE}: stable; above {SHIFTED}: shifted. Compares the decisions of {compared}."
    chart = alt.layer(bars, marks).properties(height=height)
    return Figure("drift", title, _drift_in_words(rows), chart, rows, _DRIFT_COLUMNS, note, height)


def _drift_in_words(rows: pd.DataFrame) -> str:
    shifted, moved = rows[rows["psi"] > SHIFTED], rows[rows["psi"].between(STABLE, SHIFTED)]
    if len(shifted):
        return f"Shifted: {', '.join(shifted['figure'])}."
    if len(moved):
        return f"Moved, but not above {SHIFTED}: {', '.join(moved['figure'])}."
    return f"All {len(rows)} figures are stable: none reaches {STABLE}."


def _without(decided: int, what: str, why: str) -> str:
    whose = "The one decision of this time has no" if decided == 1 else f"None of the {decided:,} decisions has a"
    return f"{whose} {what}. {why}"


def _by_decision() -> alt.Color:
    return alt.Color("decision:N", sort=list(DECISIONS), scale=alt.Scale(domain=list(DECISIONS)))


def _powers_of_ten(low: float, high: float) -> list[float]:
    """Return the powers of ten from the last one that is not above low to the first one that is not below high."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [10.0**power for power in range(first, last + 1)]


def _time(rows: pd.DataFrame) -> alt.X:
    is_long = rows["at"].max() - rows["at"].min() > pd.Timedelta(days=1)
    return alt.X("at:T", axis=alt.Axis(title=None, format="%d %b, %H:%M" if is_long else "%H:%M", labelOverlap=True))
