"""Detect bursts: more conversions of one country within minutes than expected at random."""

from __future__ import annotations

import numpy as np
from scipy.special import gammainc

from quintet.ml.statistics import others_within

AROUND_SECONDS = 300
LEAST_OTHERS = 5
_CHANCE = 1e-4


def in_burst(group: np.ndarray, at: np.ndarray, span_seconds: int) -> np.ndarray:
    """Return for each conversion whether unusually many others of its group lie within `AROUND_SECONDS`.

    group: a number for each country of each window; at: seconds. span_seconds: the length of a window. The baseline is
    a Poisson process at the group's own rate, so that a busy country is not a burst.
    """
    if not len(at):
        return np.zeros(0, dtype=bool)
    _, number = np.unique(group, return_inverse=True)
    others = others_within(number, at, AROUND_SECONDS)
    usual = np.bincount(number)[number] * (2 * AROUND_SECONDS / span_seconds)
    return (others >= LEAST_OTHERS) & (gammainc(np.maximum(others, 1), usual) < _CHANCE)
