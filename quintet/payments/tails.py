"""How improbable a count is: the two tails of a Poisson count whose rate has a Gamma distribution."""

from __future__ import annotations

import numpy as np
from scipy.special import betainc

_LEAST_PROBABILITY = 1e-300


def upper_tail(count: np.ndarray, expected: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Return P(Y >= count) for a count of mean `expected` and variance expected + expected**2 / shape; broadcasts."""
    tail = betainc(np.maximum(count, 1), shape, expected / (expected + shape))
    return np.where(count > 0, tail, 1.0)


def lower_tail(count: np.ndarray, expected: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Return P(Y <= count) for a count of mean `expected` and variance expected + expected**2 / shape; broadcasts."""
    return betainc(shape, count + 1.0, shape / (expected + shape))


def as_score(probability: np.ndarray) -> np.ndarray:
    """Return minus the decimal logarithm of a probability: 6 is one in a million; at most 300."""
    return -np.log10(np.maximum(probability, _LEAST_PROBABILITY))
