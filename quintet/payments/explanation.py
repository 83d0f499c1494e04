"""Explain an incident: the values of dimensions in which its excess is concentrated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from quintet.payments.dimensions import MOST_VALUES, OTHERS
from quintet.payments.explanation_values import Explained
from quintet.payments.tails import lower_tail, upper_tail

MOST_NAMED = 5
"""The most values that explain an incident."""

LEAST_SHARE = 0.05
"""The least share of the excess that a value must have to be named."""

MOST_BY_CHANCE = 0.01
"""The largest probability, over all values that are compared, of naming one in an incident that affects all alike."""

_DISPERSION = 0.02
_PRIOR_EVENTS = 5.0
_LEAST_MEAN = 1e-9


def explain(
    slices: pd.DataFrame,
    dimensions: Sequence[str],
    history: Mapping[str, pd.DataFrame],
    expected: float,
    *,
    is_drop: bool,
) -> list[Explained]:
    """Return the values that explain an incident, at most `MOST_NAMED`, the most telling first.

    slices: a row for each combination of values: a column for each dimension (empty where unknown), `count` in the
    window, and `weight`, to which the expected count is proportional but for the rate of the value. history: by
    dimension, a frame of `events` and `exposure` by value, from which the rates come; without one all rates are equal.
    expected: of the whole window. is_drop: whether fewer than expected are the incident.

    A value is named if its count is further from what is expected than in an incident that affects all values alike.
    The slices of a named value are left out before the next is chosen: a country is not named for an issuer in it.
    """
    count, weight = slices["count"].to_numpy(float), slices["weight"].to_numpy(float)
    sign = -1.0 if is_drop else 1.0
    excess = sign * (count.sum() - expected)
    if excess <= 0 or expected <= 0 or weight.sum() <= 0:
        return []
    columns = [_Column.of(slices, name, history.get(name), expected) for name in dimensions]
    compared = sum(len(column.values) for column in columns)
    left = np.ones(len(slices), dtype=bool)
    found: list[Explained] = []
    while len(found) < MOST_NAMED:
        best = max((column.best(count, left, excess, sign, compared) for column in columns), default=(0.0, -1, None))
        telling, code, explained = best
        if explained is None or telling <= 0:
            break
        found.append(explained)
        left &= next(column for column in columns if column.name == explained.dimension).codes != code
    return found


class _Column(NamedTuple):
    """A dimension of the slices. codes: by slice, -1 where unknown. mean: by slice. dispersion: by value."""

    name: str
    values: Sequence[str]
    codes: np.ndarray
    mean: np.ndarray
    dispersion: np.ndarray

    @classmethod
    def of(cls, slices: pd.DataFrame, name: str, history: pd.DataFrame | None, expected: float) -> _Column:
        weight = slices["weight"].to_numpy(float)
        texts = folded(slices[name], slices["count"].to_numpy(float) + weight)
        codes, values = pd.factorize(texts.where(texts != ""))
        if history is None or not history["exposure"].sum() > 0:
            rate_of_all, rates = 1.0, np.ones(len(values))
            events = np.bincount(codes[codes >= 0], weight[codes >= 0], len(values))
        else:
            # The prior is one event, so that a rate is defined for a status that is new.
            rate_of_all = (history["events"].sum() + 1.0) / history["exposure"].sum()
            known = history.reindex(values).fillna(0.0)
            events = known["events"].to_numpy(float)
            rates = (events + _PRIOR_EVENTS) / (known["exposure"].to_numpy(float) + _PRIOR_EVENTS / rate_of_all)
        mean = weight * np.append(rates, rate_of_all)[codes]  # the last one is of unknown values, whose code is -1
        dispersion = _DISPERSION + 1 / (events + _PRIOR_EVENTS)
        return cls(name, list(values), codes, mean * expected / mean.sum(), dispersion)

    def best(
        self, count: np.ndarray, left: np.ndarray, excess: float, sign: float, compared: int
    ) -> tuple[float, int, Explained | None]:
        """Return the most telling value of the slices that are left, with its deviance and code."""
        used = left & (self.codes >= 0)
        total, total_mean = count[left].sum(), self.mean[left].sum()
        if not used.any() or total_mean <= 0:
            return 0.0, -1, None
        observed = np.bincount(self.codes[used], count[used], len(self.values))
        expected = np.bincount(self.codes[used], self.mean[used], len(self.values))
        # What the value would have if it were affected as all others are, which are taken to be one event more.
        others = total - observed
        factor = (others + 1.0) / (total_mean - expected + total_mean / max(total, _LEAST_MEAN))
        fair = np.maximum(expected * factor, _LEAST_MEAN)
        shape = 1 / (self.dispersion + 1 / (others + 1.0))
        tail = lower_tail if sign < 0 else upper_tail
        p_value = np.minimum(tail(observed, fair, shape) * compared, 1.0)
        share = sign * (observed - expected) / excess
        is_named = (p_value <= MOST_BY_CHANCE) & (share >= LEAST_SHARE) & (sign * (observed - fair) > 0)
        deviance = observed * np.log(np.maximum(observed, _LEAST_MEAN) / fair) - (observed - fair)
        deviance = np.where(is_named, deviance, 0.0)
        code = int(deviance.argmax())
        explained = Explained(
            self.name,
            str(self.values[code]),
            int(observed[code]),
            float(expected[code]),
            float(min(share[code], 1.0)),
            float(p_value[code]),
        )
        return (float(deviance[code]), code, explained) if is_named[code] else (0.0, -1, None)


def folded(texts: pd.Series, weight: np.ndarray) -> pd.Series:
    """Return values with `OTHERS` for all but the `MOST_VALUES` of the largest weight."""
    by_value = pd.Series(weight, index=texts.to_numpy()).groupby(level=0).sum().drop("", errors="ignore")
    if len(by_value) <= MOST_VALUES:
        return texts
    kept = by_value.sort_index().sort_values(ascending=False, kind="stable").index[: MOST_VALUES - 1]
    return texts.where(texts.isin(kept) | (texts == ""), OTHERS)
