"""Measures of a scoring model on applications with a known outcome: pure functions over arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from quintet.ml.statistics import wilson

_RESAMPLES = 200
_SEED = 0


@dataclass(frozen=True)
class Estimate:
    """A figure with the interval that covers 95% of resamples."""

    value: float
    low: float
    high: float


class Ranking:
    """How well probabilities rank defaults above repaid loans; a resample is given by weights of the rows.

    Raises ValueError if one class is absent.
    """

    def __init__(self, is_default: np.ndarray, probability: np.ndarray) -> None:
        if is_default.all() or not is_default.any():
            raise ValueError("ranking needs loans that defaulted and loans that were repaid")
        self._order = np.argsort(probability, kind="stable")
        ordered = probability[self._order]
        self._starts = np.flatnonzero(np.append(True, np.diff(ordered) != 0))
        self._is_default = is_default[self._order].astype(float)

    def auc(self, weight: np.ndarray | None = None) -> float:
        """Return the probability that a default ranks above a repaid loan; ties count half."""
        bad, good = self._by_value(weight)
        below = np.cumsum(good) - good
        return float((bad * (below + good / 2)).sum() / (bad.sum() * good.sum()))

    def ks(self, weight: np.ndarray | None = None) -> float:
        """Return the greatest distance between the two distributions (Kolmogorov-Smirnov)."""
        bad, good = self._by_value(weight)
        return float(np.abs(np.cumsum(good) / good.sum() - np.cumsum(bad) / bad.sum()).max())

    def _by_value(self, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        ordered = np.ones(len(self._order)) if weight is None else weight[self._order]
        bad = np.add.reduceat(ordered * self._is_default, self._starts)
        return bad, np.add.reduceat(ordered, self._starts) - bad


def resamples(is_default: np.ndarray, client: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the row weights of each resample of whole clients; skip resamples that lack a class."""
    rng = np.random.default_rng(_SEED)
    _, number = np.unique(client, return_inverse=True)
    clients = int(number.max()) + 1
    for _ in range(_RESAMPLES):
        drawn = np.bincount(rng.integers(0, clients, clients), minlength=clients)[number].astype(float)
        if 0 < (drawn * is_default).sum() < drawn.sum():
            yield drawn


def ranking_figures(is_default: np.ndarray, probability: np.ndarray, client: np.ndarray) -> dict[str, Estimate]:
    """Return auc, gini and ks with their intervals."""
    ranking = Ranking(is_default, probability)
    drawn = np.array([(ranking.auc(weight), ranking.ks(weight)) for weight in resamples(is_default, client)])
    (auc_low, ks_low), (auc_high, ks_high) = np.quantile(drawn, [0.025, 0.975], axis=0)
    auc = Estimate(ranking.auc(), float(auc_low), float(auc_high))
    gini = Estimate(*(2 * part - 1 for part in (auc.value, auc.low, auc.high)))
    return {"auc": auc, "gini": gini, "ks": Estimate(ranking.ks(), float(ks_low), float(ks_high))}


def auc_gain(is_default: np.ndarray, one: np.ndarray, other: np.ndarray, client: np.ndarray) -> np.ndarray:
    """Return the AUC of `one` minus the AUC of `other` in each resample."""
    first, second = Ranking(is_default, one), Ranking(is_default, other)
    return np.array([first.auc(weight) - second.auc(weight) for weight in resamples(is_default, client)])


def equal_bins(probability: np.ndarray, fewest: int = 200, most: int = 10) -> np.ndarray:
    """Return each row's bin number, from the lowest probability on; bins have equal counts, at least `fewest` rows."""
    bins = int(np.clip(len(probability) // fewest, 2, most))
    rank = np.empty(len(probability), dtype=int)
    rank[np.argsort(probability, kind="stable")] = np.arange(len(probability))
    return rank * bins // max(len(probability), 1)


def calibration_error(happened: np.ndarray, probability: np.ndarray) -> float:
    """Return the mean distance between a bin's probability and its observed share, over bins of equal counts.

    happened: 1 or 0, or the true probabilities if they are known.
    """
    place = equal_bins(probability)
    rows = np.bincount(place)
    gap = np.bincount(place, weights=probability) - np.bincount(place, weights=happened.astype(float))
    return float(np.abs(gap).sum() / rows.sum())


def share_interval(happened: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the 95% interval of shares (Wilson); NaN without rows."""
    low, high = wilson(happened, rows)
    return np.where(rows > 0, low, np.nan), np.where(rows > 0, high, np.nan)
