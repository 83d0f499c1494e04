"""Summarise the decision log over a time: latencies, shares, scores, reasons, and drift of the figures."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from quintet.ml.statistics import stability

DECISIONS = ("approve", "refer", "reject")
"""The decisions, in display order."""

SCORE_STEP = 0.05
_DRIFT_BINS = 10
FEWEST_FOR_DRIFT = 200
"""Rows that drift needs, both before and within the time."""


def latencies(rows: pd.DataFrame, every: str) -> pd.DataFrame:
    """Return at, decisions, p50_ms, p99_ms, slowest_ms, waited_p99_ms, total_ms, total_waited_ms by step of time.

    every: a pandas frequency.
    """
    grouped = rows.rename(columns={"decided_at": "at"}).groupby(pd.Grouper(key="at", freq=every))
    found = grouped["latency_ms"].agg(
        decisions="count", p50_ms="median", p99_ms=lambda each: each.quantile(0.99), slowest_ms="max", total_ms="sum"
    )
    found["waited_p99_ms"] = grouped["waited_ms"].quantile(0.99)
    found["total_waited_ms"] = grouped["waited_ms"].sum()
    return found[found["decisions"] > 0].reset_index()


def shares(rows: pd.DataFrame, every: str) -> pd.DataFrame:
    """Return at, until, decision, decisions and share by step of time and decision."""
    counted = rows.groupby([pd.Grouper(key="decided_at", freq=every), "decision"])["decision"].agg(decisions="count")
    found = counted.rename_axis(["at", "decision"]).reset_index()
    found["share"] = found["decisions"] / found.groupby("at")["decisions"].transform("sum")
    found["until"] = found["at"] + pd.Timedelta(every)
    return found


def scores(rows: pd.DataFrame) -> pd.DataFrame:
    """Return low, high, decision, decisions and mean score by step of score and decision; none without a score."""
    known = rows.dropna(subset=["score"])
    step = (known["score"] / SCORE_STEP).astype(int).clip(upper=round(1 / SCORE_STEP) - 1)
    grouped = known.groupby([step.rename("step"), "decision"])["score"]
    counted = grouped.agg(decisions="size", mean_score="mean").reset_index()
    low = (counted["step"] * SCORE_STEP).round(2)
    return pd.DataFrame(
        {
            "low": low,
            "high": (low + SCORE_STEP).round(2),
            "decision": counted["decision"],
            "decisions": counted["decisions"],
            "mean_score": counted["mean_score"],
        }
    )


def reasons(rows: pd.DataFrame) -> pd.DataFrame:
    """Return code, decisions, share of all decisions, and counts by decision of each reason; most frequent first."""
    given = rows.assign(code=rows["reasons"].map(json.loads)).explode("code").dropna(subset=["code"])
    counted = given.groupby(["code", "decision"]).size().unstack(fill_value=0).reindex(columns=DECISIONS, fill_value=0)
    counted["decisions"] = counted.sum(axis=1)
    counted["share"] = counted["decisions"] / max(len(rows), 1)
    return counted.sort_values(["decisions"], ascending=False, kind="stable").rename_axis("code").reset_index()


def drift(before: pd.DataFrame, within: pd.DataFrame) -> pd.DataFrame:
    """Return psi, null_before, null_within, median_before, median_within of each figure, the largest drift first.

    Bins have equal counts before, and null has its own. Empty with fewer than `FEWEST_FOR_DRIFT` rows that have
    features or a score.
    """
    columns = ["figure", "psi", "null_before", "null_within", "median_before", "median_within"]
    if min(_are_complete(rows).sum() for rows in (before, within)) < FEWEST_FOR_DRIFT:
        return pd.DataFrame(columns=columns)
    old, new = (_figures(rows[_are_complete(rows)]) for rows in (before, within))
    found = []
    for name in old.columns.intersection(new.columns, sort=False):
        one, other = old[name].to_numpy(dtype=float), new[name].to_numpy(dtype=float)
        known = one[~np.isnan(one)]
        cuts = np.unique(np.quantile(known, np.arange(1, _DRIFT_BINS) / _DRIFT_BINS)) if len(known) else known
        found.append(
            {
                "figure": name,
                "psi": stability(_counts(one, cuts), _counts(other, cuts)),
                "null_before": float(np.isnan(one).mean()),
                "null_within": float(np.isnan(other).mean()),
                "median_before": _median(one),
                "median_within": _median(other),
            }
        )
    return pd.DataFrame(found, columns=columns).sort_values("psi", ascending=False, ignore_index=True)


def _are_complete(rows: pd.DataFrame) -> pd.Series:
    return rows["degraded_reason"].isna() | rows["score"].notna()


def _figures(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame([json.loads(text) for text in rows["figures"]]).assign(score=rows["score"].to_numpy())


def _counts(values: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    place = np.where(np.isnan(values), len(cuts) + 1, cuts.searchsorted(values, side="right"))
    return np.bincount(place, minlength=len(cuts) + 2)


def _median(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else None
