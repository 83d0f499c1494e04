"""The figure of a cluster: its accounts and what they share."""

from __future__ import annotations

import math

import altair as alt
import numpy as np
import pandas as pd

from quintet.presentation.design import Column, Figure, plain_values
from quintet.presentation.wording import counted
from quintet.promotions.chart_parts import KINDS, no_figure

MOST_DRAWN = 40
"""The most accounts of a cluster that are drawn; the table has all."""


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
        return no_figure(name, "A cluster as a graph", table, columns, "Choose a cluster in the table.")
    drawn = members.head(MOST_DRAWN)
    accounts, shared, edges = _layout(drawn, keys[keys["user_id"].isin(drawn["user_id"])])
    title = f"Cluster of {members['user_id'].min()}: {counted(len(members), 'account')} and what they share"
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
    alternative = f"{counted(len(members), 'account')}, {blocked} to block; they share {shares}."
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
