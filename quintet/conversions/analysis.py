"""Statistics of matched journeys: compare every group with the rest, and write the findings that pass their tests.

The dbt models `conversion_*` count; this module compares the counts. An important score is a valid score above zero.
Nearly all valid scores are zero, and the others start well above it: zero means that the registration led to nothing,
and the mean score measures what the others led to. A score that is not a number is missing and counts neither way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from quintet.conversions.comparisons import compare, false_discovery
from quintet.conversions.data_insights import data_quality_insights
from quintet.conversions.findings import ranked_findings
from quintet.conversions.frames import COUNTED
from quintet.conversions.insights import (
    DIMENSIONS,
    LARGEST_Q,
    MEASURES,
    Insight,
    funnel_insights,
    session_insights,
)
from quintet.conversions.rate_insights import rate_insights
from quintet.conversions.residency_insights import residency_insights
from quintet.ml.statistics import wilson


@dataclass(frozen=True)
class Analysis:
    """The frames of one analysis and its findings. The frames of `COUNTED` are described beside their dbt models."""

    funnel: pd.DataFrame
    outcomes: pd.DataFrame
    rates: pd.DataFrame
    residency: pd.DataFrame
    residency_summary: pd.DataFrame
    data_quality: pd.DataFrame
    session_scores: pd.DataFrame
    scores: pd.DataFrame
    lags: pd.DataFrame
    findings: pd.DataFrame
    insights: tuple[Insight, ...]


def analyse(counted: Mapping[str, pd.DataFrame]) -> Analysis:
    """Return the comparisons of the counts and their findings.

    counted: a frame for each of `frames.COUNTED` and `frames.COUNTS`.
    """
    compared = {
        "rates": rates(counted["cells"]),
        "residency": residency(counted["residency_counts"]),
        "residency_summary": residency_summary(counted["residency_case_counts"]),
        "session_scores": session_scores(counted["session_counts"]),
    }
    compared["findings"] = ranked_findings(compared["rates"], counted["cells"])
    frames = {name: counted[name] for name in COUNTED} | compared
    sentences = (
        *funnel_insights(frames["funnel"], frames["outcomes"]),
        *session_insights(frames["session_scores"]),
        *rate_insights(frames["rates"], counted["cells"]),
        *residency_insights(frames["residency"], frames["residency_summary"]),
        *data_quality_insights(frames["data_quality"]),
    )
    return Analysis(**frames, insights=sentences)


def rates(cells: pd.DataFrame) -> pd.DataFrame:
    """Return each measure by the levels of each dimension, each level against the rest.

    cells: as the dbt model `conversion_cells` counts them.

    measure, dimension, level; n (sessions), rows (all conversions or matched rows, not one per session), total,
    mean, low, high (95%); rest_mean, difference, adjusted (within equals, see `EQUALS`), each with _low and _high;
    compared, p_value, q_value (over all comparisons of the frame, null where too few rows are expected), is_finding
    (q_value at most LARGEST_Q, the interval within equals excludes zero, the plain difference has the same sign).
    """
    parts = []
    for measure in MEASURES:
        for dimension in DIMENSIONS:
            of_both = cells[(cells["measure"] == measure) & (cells["dimension"] == dimension)]
            sums = of_both.loc[of_both["n"] > 0, ["level", "stratum", "n", "total", "squares", "cubes"]]
            rows = of_both.groupby("level", as_index=False)["rows"].sum()
            compared = compare(sums.reset_index(drop=True), is_share=measure != "mean_score")
            parts.append(compared.merge(rows, on="level", how="left").assign(measure=measure, dimension=dimension))
    every = pd.concat(parts, ignore_index=True)
    every["q_value"] = false_discovery(every["p_value"].to_numpy("float64"))
    agrees = np.sign(every["difference"]) == np.sign(every["adjusted"])
    is_clear = every["adjusted_low"] * every["adjusted_high"] > 0
    every["is_finding"] = (every["q_value"] <= LARGEST_Q) & agrees & is_clear
    first = ["measure", "dimension", "level", "n", "rows", "total", "mean", "low", "high"]
    return every[[*first, *(name for name in every if name not in first)]]


def session_scores(counts: pd.DataFrame) -> pd.DataFrame:
    """Return one row: sessions (with two or more scored rows), with_important, all_important; share, low, high (of the
    last two); important_share (of all scored rows): the share expected at random.

    counts: as the dbt model `conversion_session_counts` counts them.
    """
    low, high = wilson(counts["all_important"].to_numpy(), counts["with_important"].to_numpy())
    share = counts["all_important"] / counts["with_important"].where(counts["with_important"] > 0)
    return counts.assign(share=share, low=low, high=high)


def residency(counts: pd.DataFrame) -> pd.DataFrame:
    """Return how often the residency differs from the IP country, by IP country, where both are known.

    counts: as the dbt model `conversion_residency_counts` counts them.

    ip_iso2, n (matched sessions), total (another residency), mean, low, high, rest_mean, difference with _low and
    _high, p_value, q_value, commonest (most frequent other residency), commonest_sessions; the largest first.
    """
    total = counts["elsewhere"].astype("float64")
    cells = counts[["ip_iso2", "n"]].assign(stratum="", total=total, squares=total, cubes=total)
    compared = compare(cells.rename(columns={"ip_iso2": "level"}), is_share=True)
    compared["q_value"] = false_discovery(compared["p_value"].to_numpy("float64"))
    kept = ["level", "n", "total", "mean", "low", "high", "rest_mean", "difference", "difference_low"]
    return (
        compared[[*kept, "difference_high", "p_value", "q_value"]]
        .rename(columns={"level": "ip_iso2"})
        .merge(counts[["ip_iso2", "commonest", "commonest_sessions"]], on="ip_iso2", how="left")
        .astype({"commonest_sessions": "float64"})
    )


def residency_summary(counts: pd.DataFrame) -> pd.DataFrame:
    """Return the broker rows by whether residency and IP country agree, with their share of important scores.

    counts: as the dbt model `conversion_residency_case_counts` counts them.

    level (`same`, `other`, `residency unknown`, `IP unknown`), n (matched sessions with a valid score), total
    (important), mean, low, high, rest_mean, difference with _low and _high, p_value, rows (all broker rows).
    """
    scored = counts[counts["n"] > 0].reset_index(drop=True)
    total = scored["important"].astype("float64")
    cells = scored[["level", "n"]].assign(stratum="", total=total, squares=total, cubes=total)
    kept = ["level", "n", "total", "mean", "low", "high", "rest_mean", "difference", "difference_low"]
    compared = compare(cells, is_share=True)[[*kept, "difference_high", "p_value"]]
    rows = counts[["level", "rows"]]
    return rows.merge(compared, on="level", how="left").sort_values("rows", ascending=False, ignore_index=True)
