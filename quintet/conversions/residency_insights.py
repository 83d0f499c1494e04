"""Insights on residency against IP country."""

from __future__ import annotations

import numpy as np
import pandas as pd

from quintet.conversions.comparisons import compare
from quintet.conversions.insights import (
    LARGEST_Q,
    SENTENCES_BY_DIMENSION,
    Insight,
    country_name,
    p_words,
    points,
    q_words,
)
from quintet.ml.statistics import wilson


def residency_insights(by_country: pd.DataFrame, summary: pd.DataFrame) -> tuple[Insight, ...]:
    """Return the insights on residency: where it differs from the IP country, and how the scores differ."""
    both = by_country["n"].sum()
    if not both:
        return ()
    other = int(by_country["total"].sum())
    low, high = wilson(np.array([other]), np.array([both]))
    found = [
        Insight(
            "residency",
            f"{other / both:.1%}",
            f"of the {both:,} sessions whose broker row states a residency have an IP of another country "
            f"(95% {low[0]:.1%} to {high[0]:.1%}).",
            "Match by either country, as this model does, and never drop a row because they differ.",
        )
    ]
    holds = by_country[(by_country["q_value"] <= LARGEST_Q) & (by_country["difference"] > 0)]
    worst = holds.sort_values(["mean", "ip_iso2"], ascending=[False, True]).head(SENTENCES_BY_DIMENSION)
    found += [_residency_insight(row) for _, row in worst.iterrows()]
    return (*_stated_insights(summary), *found, *_abroad_insights(summary))


def _stated_insights(summary: pd.DataFrame) -> tuple[Insight, ...]:
    """Return the insight on whether rows with a stated residency score higher."""
    row = summary[summary["level"] == "residency unknown"]
    stated = summary[summary["level"].isin(["same", "other"])][["n", "total"]].sum()
    if row.empty or not stated["n"] or not (row["p_value"] <= LARGEST_Q).all() or (row["difference"] >= 0).all():
        return ()
    unknown = row.iloc[0]
    low, high = wilson(np.array([stated["total"]]), np.array([stated["n"]]))
    return (
        Insight(
            "residency",
            f"{stated['total'] / stated['n']:.1%}",
            f"of the sessions that state a residency are important (95% {low[0]:.1%} to {high[0]:.1%}, n = "
            f"{stated['n']:,.0f}), and {unknown['mean']:.2%} of those that state none (95% {unknown['low']:.2%} to "
            f"{unknown['high']:.2%}, n = {unknown['n']:,.0f}; {p_words(unknown['p_value'])}). A residency is stated "
            f"late in the funnel, shortly before a score: it is a step, not a property of the visitor.",
            "Ask the broker which step writes the residency, and report it as a separate result: it occurs earlier "
            "and more often than a score.",
            float(unknown["p_value"]),
        ),
    )


def _abroad_insights(summary: pd.DataFrame) -> tuple[Insight, ...]:
    """Return the insight on whether rows whose residency differs from the IP country score differently."""
    stated = summary[summary["level"].isin(["same", "other"])]
    if len(stated) < 2:
        return ()
    cells = stated[["level", "n", "total"]].assign(stratum="", squares=stated["total"], cubes=stated["total"])
    compared = compare(cells, is_share=True)
    row = compared[compared["level"] == "other"].iloc[0]
    if not row["p_value"] <= LARGEST_Q:
        return ()
    return (
        Insight(
            "residency",
            f"{row['mean']:.1%}",
            f"of the sessions whose residency differs from the IP are important, against {row['rest_mean']:.1%} of "
            f"those where both agree (difference {points(row['difference'])} points, 95% "
            f"{points(row['difference_low'])} to {points(row['difference_high'])}; n = {row['n']:,.0f}, "
            f"{p_words(row['p_value'])}).",
            "Ask the broker how it treats clients who register from abroad.",
            float(row["p_value"]),
        ),
    )


def _residency_insight(row: pd.Series) -> Insight:
    name = country_name(row["ip_iso2"])
    return Insight(
        "residency",
        f"{row['mean']:.1%}",
        f"of those with an IP of {name} reside elsewhere, most often in {country_name(row['commonest'])} "
        f"({row['commonest_rows']:,.0f} sessions), against {row['rest_mean']:.1%} of the other countries (difference "
        f"{points(row['difference'])} points, 95% {points(row['difference_low'])} to "
        f"{points(row['difference_high'])}; n = {row['n']:,}, {q_words(row['q_value'])}).",
        f"Do not use the IP country {name} as the country of residence.",
        float(row["q_value"]),
    )
