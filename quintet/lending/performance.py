"""Estimate how well the scoring model performs before loans have ended, and compare as they end.

Confidence-based performance estimation: with calibrated probabilities, the expected outcomes of a month follow from the
probabilities alone, and from them AUC, Brier score and bad rate. It sees that other clients apply. It cannot see that
the same clients repay less often than before: that shows in the realised figures alone.
"""

from __future__ import annotations

from datetime import date
from statistics import NormalDist

import numpy as np
import pandas as pd

from quintet.lending.measures import Ranking

MEASURES = {"auc": "AUC", "brier": "Brier score", "bad_rate": "Bad rate"}
PERFORMANCE_COLUMNS = {
    "month": "date",
    "measure": "varchar",
    "loans": "bigint",
    "ended": "bigint",
    "estimated": "double",
    "noise": "double",
    "reference": "double",
    "estimated_of_ended": "double",
    "realised": "double",
    "alarm": "varchar",
}

_WORSE = {"auc": -1.0, "brier": 1.0, "bad_rate": 1.0}
"""The direction in which a measure gets worse."""
_LEAST_CHANGE = {"auc": 0.02, "brier": 0.01, "bad_rate": 0.02}
"""Changes below these are not worth a message, however many loans show them."""
_FALSE_ALARMS = 0.05
"""The chance of any alarm in all months together while nothing has changed."""
_FEWEST_OF_A_CLASS = 20
_SHARE_ENDED = 0.9
"""From this share of ended loans on a month is judged: loans that end early are other loans than those that do not."""


def performance(scored: pd.DataFrame, split_day: date | None) -> pd.DataFrame:
    """Return one row per month of application and measure: `PERFORMANCE_COLUMNS`.

    scored: loans that were issued, with applied_on, default_probability and outcome (repaid, overdue or null while the
    loan runs); those without a probability are left out. split_day: months up to it are the reference of the estimate;
    None: all months.

    estimated: of all loans of the month; noise: its standard error; realised and estimated_of_ended: of the ended ones.
    alarm: `estimate` where the estimated AUC fell against the reference, `realised` where ended loans are worse than
    estimated, both beyond noise over all months together; null otherwise.
    """
    loans = scored[scored["default_probability"].notna()]
    empty = pd.DataFrame(columns=list(PERFORMANCE_COLUMNS))
    if loans.empty:
        return empty
    month = pd.to_datetime(loans["applied_on"]).dt.to_period("M")
    is_reference = pd.Series(True, index=loans.index) if split_day is None else month <= pd.Period(split_day, "M")
    reference = _estimate(loans.loc[is_reference, "default_probability"].to_numpy(float))
    rows = [
        {"month": period.start_time.date(), "reference": reference[measure][0], **row}
        for period, part in loans.groupby(month)
        for measure in MEASURES
        for row in [_row(part, measure)]
    ]
    found = pd.DataFrame(rows)
    found["alarm"] = _alarms(found)
    return found[list(PERFORMANCE_COLUMNS)]


def _row(loans: pd.DataFrame, measure: str) -> dict[str, object]:
    probability = loans["default_probability"].to_numpy(float)
    has_ended = loans["outcome"].notna().to_numpy()
    estimated, noise, _ = _estimate(probability)[measure]
    of_ended, noise_of_ended, skewness_of_ended = _estimate(probability[has_ended])[measure]
    is_default = loans["outcome"].eq("overdue").to_numpy(dtype=bool)[has_ended]
    return {
        "measure": measure,
        "loans": len(loans),
        "ended": int(has_ended.sum()),
        "estimated": estimated,
        "noise": noise,
        "estimated_of_ended": of_ended,
        "noise_of_ended": noise_of_ended,
        "skewness_of_ended": skewness_of_ended,
        "realised": _realised(probability[has_ended], is_default)[measure],
    }


def _alarms(rows: pd.DataFrame) -> pd.Series:
    """Return the alarm of each row; the level is shared by all comparisons that are made."""
    worse, least = rows["measure"].map(_WORSE), rows["measure"].map(_LEAST_CHANGE)
    is_judged = rows["ended"] >= _SHARE_ENDED * rows["loans"]
    fell = (worse * (rows["estimated"] - rows["reference"])).where(rows["measure"] == "auc")
    off = (worse * (rows["realised"] - rows["estimated_of_ended"])).where(is_judged)
    comparisons = int(fell.notna().sum() + off.notna().sum())
    limit = NormalDist().inv_cdf(1 - _FALSE_ALARMS / max(comparisons, 1))
    alarm = pd.Series(None, index=rows.index, dtype="object")
    alarm[(fell > limit * rows["noise"]) & (fell > least)] = "estimate"
    # Few loans default, so chance reaches farther up than down (the first term of Cornish and Fisher).
    limit_of_ended = limit + rows["skewness_of_ended"] * (limit**2 - 1) / 6
    alarm[(off > limit_of_ended * rows["noise_of_ended"]) & (off > least)] = "realised"
    return alarm


def _estimate(probability: np.ndarray) -> dict[str, tuple[float, float, float]]:
    """Return each measure as expected from calibrated probabilities, with standard error and skewness of what realises.

    The skewness of the AUC counts as 0.
    """
    nothing = (float("nan"), float("nan"), float("nan"))
    loans = len(probability)
    if not loans:
        return dict.fromkeys(MEASURES, nothing)
    bad, good = probability.sum(), (1 - probability).sum()
    variance = probability * (1 - probability)
    # A default changes the Brier score by `step`, and the bad rate by 1.
    step = 1 - 2 * probability
    found = {
        "brier": (float(variance.mean()), *_spread(variance, step, step)),
        "bad_rate": (float(probability.mean()), *_spread(variance, step, np.ones(loans))),
    }
    if min(bad, good) < _FEWEST_OF_A_CLASS:
        return found | {"auc": nothing}
    auc = _expected_auc(probability)
    return found | {"auc": (auc, _auc_noise(auc, float(bad), float(good)), 0.0)}


def _spread(variance: np.ndarray, asymmetry: np.ndarray, step: np.ndarray) -> tuple[float, float]:
    """Return standard error and skewness of the mean of `step` over the loans that default.

    variance, asymmetry: of each default by itself, p (1 - p) and 1 - 2p.
    """
    spread = float(np.sqrt((variance * step**2).sum()))
    third = float((variance * asymmetry * step**3).sum())
    return spread / len(step), third / spread**3 if spread > 0 else 0.0


def _expected_auc(probability: np.ndarray) -> float:
    """Return the chance that of two loans, one of which defaults, that one has the higher probability; ties count half.

    A loan is not compared with itself.
    """
    values, place = np.unique(probability, return_inverse=True)
    bad = np.bincount(place, weights=probability)
    good = np.bincount(place, weights=1 - probability)
    own = (probability * (1 - probability)).sum()
    ahead = (bad * (np.cumsum(good) - good / 2)).sum() - own / 2
    return float(ahead / (bad.sum() * good.sum() - own)) if len(values) else float("nan")


def _auc_noise(auc: float, bad: float, good: float) -> float:
    """Return the standard error of an AUC. Source: Hanley and McNeil, Radiology 143 (1982) 29."""
    one, two = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (bad - 1) * (one - auc**2) + (good - 1) * (two - auc**2)
    return float(np.sqrt(spread / (bad * good)))


def _realised(probability: np.ndarray, is_default: np.ndarray) -> dict[str, float]:
    if not len(probability):
        return dict.fromkeys(MEASURES, float("nan"))
    fewest = min(int(is_default.sum()), int((~is_default).sum()))
    auc = Ranking(is_default, probability).auc() if fewest >= _FEWEST_OF_A_CLASS else float("nan")
    brier = float(((is_default - probability) ** 2).mean())
    return {"auc": auc, "brier": brier, "bad_rate": float(is_default.mean())}


def in_words(rows: pd.DataFrame) -> str:
    """Return what the alarms say, the latest first, or that there are none. rows: as `performance` returns them."""
    alarms = rows[rows["alarm"].notna()].sort_values("month", ascending=False)
    if alarms.empty:
        return "no month is worse than estimated, and no estimate fell, beyond sampling noise"
    sentences = [
        f"{MEASURES[row['measure']]} of {pd.Timestamp(row['month']):%Y-%m} is estimated at {row['estimated']:.3f}, "
        f"{row['reference']:.3f} before: other clients apply"
        if row["alarm"] == "estimate"
        else f"{MEASURES[row['measure']]} of {pd.Timestamp(row['month']):%Y-%m} is {row['realised']:.3f}, estimated "
        f"{row['estimated_of_ended']:.3f}: the same clients repay differently"
        for row in alarms.to_dict("records")
    ]
    return f"{'; '.join(sentences)}. Retrain the model"
