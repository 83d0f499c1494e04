"""Fit a scorecard: monotone bins of each input, weighted by a logistic regression, as whole points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from quintet.lending.scoring import EVEN_POINTS, INPUTS, POINTS_PER_LOG_ODDS, Bins, Input, ScoringModel

Columns = Mapping[str, np.ndarray]
"""Values of inputs by name, a float for each application, NaN for null."""

_MOST_BINS = 20
_FEWEST_SHARE = 0.01
_FEWEST_ROWS = 20
_SMOOTHING = 0.5


@dataclass(frozen=True)
class Binned:
    """The bins of an input and the log-odds of default that each adds before weighting; null is last."""

    edges: np.ndarray
    log_odds: np.ndarray

    def place(self, column: np.ndarray) -> np.ndarray:
        """Return the number of each value's bin."""
        return np.where(np.isnan(column), len(self.edges) + 1, self.edges.searchsorted(column, side="right"))

    def of(self, column: np.ndarray) -> np.ndarray:
        """Return the log-odds that each value adds."""
        return self.log_odds[self.place(column)]


@dataclass(frozen=True)
class Card:
    """A fitted scorecard, not yet in points."""

    binned: Mapping[str, Binned]
    weights: Mapping[str, float]
    intercept: float

    def log_odds(self, columns: Columns) -> np.ndarray:
        """Return the log-odds of default of each row."""
        added = (weight * self.binned[name].of(columns[name]) for name, weight in self.weights.items())
        return self.intercept + sum(added, np.zeros(len(next(iter(columns.values())))))

    def model(self, slope: float, shift: float, columns: Columns) -> ScoringModel:
        """Return the model of the calibrated log-odds, `shift + slope * log_odds`. columns: rows to average over."""
        bins: dict[str, Bins] = {}
        for name, weight in self.weights.items():
            binned = self.binned[name]
            points = np.rint(-POINTS_PER_LOG_ODDS * slope * weight * binned.log_odds).astype(int)
            if not points.any():
                continue
            average = float(points[binned.place(columns[name])].mean())
            *ranges, null_points = points.tolist()
            # Merge adjacent bins that rounding has made equal.
            starts = [place for place in range(1, len(ranges)) if ranges[place] != ranges[place - 1]]
            edges = tuple(float(binned.edges[place - 1]) for place in starts)
            bins[name] = Bins(edges, tuple(ranges[place] for place in (0, *starts)), null_points, round(average, 6))
        base = EVEN_POINTS - POINTS_PER_LOG_ODDS * (shift + slope * self.intercept)
        return ScoringModel(tuple(bins), base_points=round(base), bins=bins)


def fit_card(columns: Columns, is_default: np.ndarray) -> Card:
    """Fit a scorecard, without the inputs whose weight would have the wrong sign."""
    binned = {name: bin_monotone(INPUTS[name], column, is_default) for name, column in columns.items()}
    left = {name: found.of(columns[name]) for name, found in binned.items() if found.log_odds.any()}
    while left:
        design = np.column_stack(list(left.values()))
        fitted = LogisticRegression(C=10.0, solver="newton-cholesky", tol=1e-8).fit(design, is_default)
        weights = dict(zip(left, fitted.coef_[0].tolist(), strict=True))
        worst = min(weights, key=lambda name: weights[name])
        if weights[worst] > 0:
            return Card(binned, weights, float(fitted.intercept_[0]))
        del left[worst]
    rate = (is_default.sum() + _SMOOTHING) / (len(is_default) + 2 * _SMOOTHING)
    return Card(binned, {}, float(np.log(rate / (1 - rate))))


def bin_monotone(given: Input, column: np.ndarray, is_default: np.ndarray) -> Binned:
    """Bin an input into about equal counts, and merge bins until the default rate is monotone in its direction."""
    is_known = ~np.isnan(column)
    known, default = column[is_known], is_default[is_known]
    fewest = max(_FEWEST_ROWS, round(_FEWEST_SHARE * len(column)))
    edges = (
        np.unique(np.quantile(known, np.arange(1, _MOST_BINS) / _MOST_BINS, method="higher")) if len(known) else known
    )
    edges = edges[edges > known.min()] if len(known) else edges
    place = edges.searchsorted(known, side="right")
    counts = np.bincount(place, minlength=len(edges) + 1).astype(float)
    defaults = np.bincount(place, weights=default, minlength=len(edges) + 1)
    merged: list[list[float]] = []  # the lower edge, defaults and rows of each bin
    for lower, bad, rows in zip([-np.inf, *edges], defaults, counts, strict=True):
        merged.append([lower, bad, rows])
        while len(merged) > 1 and (
            min(merged[-1][2], merged[-2][2]) < fewest or given.direction * (_rate(merged[-1]) - _rate(merged[-2])) <= 0
        ):
            _, bad_above, rows_above = merged.pop()
            merged[-1][1] += bad_above
            merged[-1][2] += rows_above
    overall = _log_odds(float(is_default.sum()), len(is_default))
    ranges = [_log_odds(bad, rows) - overall for _, bad, rows in merged]
    nulls = len(column) - len(known)
    says_nothing = given.null_is_unknown or nulls < fewest
    null = 0.0 if says_nothing else _log_odds(float(is_default[~is_known].sum()), nulls) - overall
    return Binned(np.array([lower for lower, _, _ in merged[1:]]), np.array([*ranges, null]))


def _rate(merged: list[float]) -> float:
    return (merged[1] + _SMOOTHING) / (merged[2] + 2 * _SMOOTHING)


def _log_odds(defaults: float, rows: float) -> float:
    return float(np.log((defaults + _SMOOTHING) / (rows - defaults + _SMOOTHING)))
