"""The model card: quality of the scores on unseen loans, fairness by age, and drift."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from quintet.lending.measures import (
    Estimate,
    Ranking,
    calibration_error,
    equal_bins,
    ranking_figures,
    resamples,
    share_interval,
)
from quintet.lending.model_training import Trained, columns_of
from quintet.lending.scoring import INPUTS, Bins, ScoringModel
from quintet.ml.statistics import stability

AGE_BANDS: Sequence[tuple[str, float]] = (
    ("below 25", 0),
    ("25 to 34", 25),
    ("35 to 49", 35),
    ("50 to 61", 50),
    ("62 and above", 62),
)
"""Each band with its lowest age, years."""

POINTS_STEP = 10
"""Width of a step in the distribution of points."""

_STABILITY_BINS = 10
_FEWEST_FOR_AUC = 20


def figures(trained: Trained) -> pd.DataFrame:
    """Return scores_of (kind), measure (auc, gini, ks, calibration_error), value, low, high and n of tested loans."""
    tested, rows = trained.tested, []
    is_default, client = tested["is_default"].to_numpy(), tested["client_id"].to_numpy()
    for kind in trained.models:
        probability = tested[kind].to_numpy()
        error = calibration_error(is_default, probability)
        measured = ranking_figures(is_default, probability, client)
        measured["calibration_error"] = Estimate(error, float("nan"), float("nan"))
        rows += [
            {"scores_of": kind, "measure": measure, "value": one.value, "low": one.low, "high": one.high}
            for measure, one in measured.items()
        ]
    return pd.DataFrame(rows).assign(n=len(tested))


def calibration(trained: Trained) -> pd.DataFrame:
    """Return scores_of, bin, loans, mean_probability, defaults, default_share, low, high for bins of tested loans."""
    is_default, parts = trained.tested["is_default"].to_numpy(), []
    for kind in trained.models:
        probability = trained.tested[kind].to_numpy()
        place = equal_bins(probability)
        loans = np.bincount(place)
        defaults = np.bincount(place, weights=is_default)
        low, high = share_interval(defaults, loans)
        parts.append(
            pd.DataFrame(
                {
                    "scores_of": kind,
                    "bin": np.arange(1, len(loans) + 1),
                    "loans": loans,
                    "mean_probability": np.bincount(place, weights=probability) / loans,
                    "defaults": defaults.astype(int),
                    "default_share": defaults / loans,
                    "low": low,
                    "high": high,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def points_per_bin(trained: Trained) -> pd.DataFrame:
    """Return input, bin, lower, upper, is_null, points, loans, default_share and reason of each bin of the scorecard.

    The first row, `base`, has the points that every applicant starts with. lower and upper are null at an open end.
    """
    card, ended = trained.models["scorecard"], trained.ended
    is_default = ended["is_default"].to_numpy()
    rows: list[dict[str, object]] = [
        {"input": "base", "points": card.base_points, "loans": len(ended), "default_share": is_default.mean()}
    ]
    for name, column in columns_of(ended, card.inputs).items():
        bins = (card.bins or {})[name]
        place = _place(bins, column)
        for number, (lower, upper, points, is_null) in enumerate(_spans(bins)):
            here = place == number
            rows.append(
                {
                    "input": name,
                    "bin": number + 1,
                    "lower": lower,
                    "upper": upper,
                    "is_null": is_null,
                    "points": points,
                    "loans": int(here.sum()),
                    "default_share": is_default[here].mean() if here.any() else None,
                    "reason": INPUTS[name].reason_if_null if is_null else INPUTS[name].reason,
                }
            )
    columns = ["input", "bin", "lower", "upper", "is_null", "points", "loans", "default_share", "reason"]
    return pd.DataFrame(rows, columns=columns)


def _spans(bins: Bins) -> list[tuple[float | None, float | None, int, bool]]:
    ends = [None, *bins.edges, None]
    spans = [(ends[n], ends[n + 1], points, False) for n, points in enumerate(bins.points)]
    return [*spans, (None, None, bins.null_points, True)]


def _place(bins: Bins, column: np.ndarray) -> np.ndarray:
    found = np.array(bins.edges).searchsorted(column, side="right")
    return np.where(np.isnan(column), len(bins.points), found)


def age_band(age_years: pd.Series) -> pd.Series:
    """Return the band of each age, `unknown` for null."""
    starts = np.array([start for _, start in AGE_BANDS])
    names = np.array([name for name, _ in AGE_BANDS], dtype=object)
    age = age_years.to_numpy(dtype=float, na_value=np.nan)
    place = np.clip(starts.searchsorted(np.nan_to_num(age), side="right") - 1, 0, None)
    return pd.Series(np.where(np.isnan(age), "unknown", names[place]), index=age_years.index)


def fairness(trained: Trained, scored: pd.DataFrame) -> pd.DataFrame:
    """Return decisions and score quality for each age band; age itself is no input of the model.

    scored: all applications, from `what_if.score_applications`. Columns: age_band, applications, approvals, referrals,
    rejections, approval_share, approval_ratio (to the highest band's share); and of the tested loans: loans,
    default_share, mean_probability, auc, auc_low, auc_high (null with too few loans of a class).
    """
    applied = scored.assign(age_band=age_band(scored["age_years"]))
    tested = trained.tested.assign(age_band=age_band(trained.tested["age_years"]))
    rows = []
    for name in (*(name for name, _ in AGE_BANDS), "unknown"):
        band, loans = applied[applied["age_band"] == name], tested[tested["age_band"] == name]
        if band.empty:
            continue
        is_default, probability = loans["is_default"].to_numpy(dtype=bool), loans[trained.chosen].to_numpy()
        decided = band["decision"].value_counts()
        auc, low, high = _auc(is_default, probability, loans["client_id"].to_numpy())
        rows.append(
            {
                "age_band": name,
                "applications": len(band),
                "approvals": int(decided.get("approve", 0)),
                "referrals": int(decided.get("refer", 0)),
                "rejections": int(decided.get("reject", 0)),
                "approval_share": float((band["decision"] == "approve").mean()),
                "loans": len(loans),
                "default_share": float(is_default.mean()) if len(loans) else None,
                "mean_probability": float(probability.mean()) if len(loans) else None,
                "auc": auc,
                "auc_low": low,
                "auc_high": high,
            }
        )
    found = pd.DataFrame(rows)
    highest = found["approval_share"].max()
    return found.assign(approval_ratio=found["approval_share"] / highest if highest else None)


def _auc(is_default: np.ndarray, probability: np.ndarray, client: np.ndarray) -> tuple[float | None, ...]:
    if min(is_default.sum(), (~is_default).sum()) < _FEWEST_FOR_AUC:
        return None, None, None
    ranking = Ranking(is_default, probability)
    drawn = [ranking.auc(weight) for weight in resamples(is_default, client)]
    return ranking.auc(), float(np.quantile(drawn, 0.025)), float(np.quantile(drawn, 0.975))


def input_stability(
    model: ScoringModel, training_set: pd.DataFrame, scored: pd.DataFrame, split_day: date
) -> pd.DataFrame:
    """Compare applications after the split day with the ones up to it: input, psi, null_before, null_after.

    A row for each input and one for the model's probability. Bins have equal counts before; null has its own.
    """
    is_after = pd.to_datetime(training_set["applied_on"]).to_numpy() > np.datetime64(split_day)
    columns = columns_of(training_set, model.inputs)
    columns["default_probability"] = scored["default_probability"].to_numpy(dtype=float)
    rows = []
    for name, column in columns.items():
        before, after = column[~is_after], column[is_after]
        known = before[~np.isnan(before)]
        edges = np.unique(np.quantile(known, np.arange(1, _STABILITY_BINS) / _STABILITY_BINS)) if len(known) else known
        counts = [
            np.bincount(
                np.where(np.isnan(part), len(edges) + 1, edges.searchsorted(part, side="right")),
                minlength=len(edges) + 2,
            )
            for part in (before, after)
        ]
        rows.append(
            {
                "input": name,
                "psi": stability(*counts),
                "null_before": float(np.isnan(before).mean()) if len(before) else None,
                "null_after": float(np.isnan(after).mean()) if len(after) else None,
            }
        )
    return pd.DataFrame(rows).sort_values("psi", ascending=False, ignore_index=True)


def distribution(scored: pd.DataFrame) -> pd.DataFrame:
    """Count applications by points (the lower end of a step), decision and outcome (or `open`)."""
    rows = pd.DataFrame(
        {
            "points": scored["points"].to_numpy(dtype=int) // POINTS_STEP * POINTS_STEP,
            "decision": scored["decision"],
            "outcome": scored["outcome"].fillna("open"),
        }
    )
    counted = rows.groupby(["points", "decision", "outcome"], as_index=False).size()
    return counted.rename(columns={"size": "applications"})
