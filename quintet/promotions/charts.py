"""The promotions figures: each turns a frame into a chart, its table and a sentence with the main number.

For an empty frame, a function returns a figure without a chart whose note says what to do.
"""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from quintet.presentation.design import Column, Figure, plain_values
from quintet.presentation.wording import counted
from quintet.promotions.chart_parts import NO_ROWS, no_figure
from quintet.promotions.overview import Grain, Ranking

_SERIES = {"registrations": "Registrations", "usages": "Usages"}


def registrations_and_usages(timeline: pd.DataFrame, grain: Grain) -> Figure:
    """Return the chart of both counts over time. timeline: as `overview.timeline`."""
    name, height = "registrations-and-usages", 320
    title = f"Registrations and uses of codes by {grain}"
    columns = (Column("period", grain.capitalize()), *(Column(key, label, "count") for key, label in _SERIES.items()))
    rows = timeline.assign(period=[f"{start:%Y-%m-%d}" for start in timeline["start"]])
    if rows.empty:
        return no_figure(name, title, rows, columns, NO_ROWS)
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
        f"{counted(signed_up, 'registration')} and {counted(used, 'use')} "
        f"from {rows['period'].iloc[0]} to {rows['period'].iloc[-1]}; "
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


_SHORT, _WHOLE = 8, 14
"""Characters of an id: the fewest of a shortened label, and the most that are shown whole."""


def _ranked(name: str, which: str, unit: str, key: str, ranking: Ranking, columns: Sequence[Column]) -> Figure:
    rows = ranking.rows
    title = f"{which} with the most uses of codes, first {len(rows)} of {ranking.total:,}"
    if rows.empty:
        return no_figure(
            name, title, rows, tuple(columns), NO_ROWS if unit != "clusters" else "No accounts are linked."
        )
    height = 26 * len(rows) + 16
    names = rows[key].astype(str).tolist()
    base = alt.Chart(plain_values(rows.assign(**{key: names}), key, "uses"))
    length = _distinct_length(names)
    axis = alt.Axis(labelLimit=0, labelExpr=f"slice(datum.label, 0, {length})")
    y = alt.Y(f"{key}:N", title=None, sort=names, axis=axis, scale=alt.Scale(paddingInner=0.32))
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
    if max(map(len, names)) > length:
        note = f"{note} Ids are labelled by their first {length} characters; the table has them whole.".strip()
    chart = alt.layer(bars, labels).properties(height=height)
    return Figure(name, title, alternative, chart, rows, tuple(columns), note=note, height=height)


def _distinct_length(names: Sequence[str]) -> int:
    """Return how many leading characters tell the names apart, at least `_SHORT`; all where they are hardly longer."""
    longest = max(map(len, names))
    if longest <= _WHOLE:
        return longest
    return next(
        (size for size in range(_SHORT, longest) if len({name[:size] for name in names}) == len(names)), longest
    )
