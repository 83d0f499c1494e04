"""Statistics that several domains use: Wilson intervals, the population stability index and counts of neighbours."""

from __future__ import annotations

import numpy as np

STABLE, SHIFTED = 0.1, 0.25
"""Stability indexes: below the first is stable, from the second on is shifted."""

_Z95 = 1.959963984540054
"""The 97.5% quantile of the normal distribution; a constant, because importing SciPy would slow down every run."""
_LEAST_SHARE = 1e-4


def wilson(successes: np.ndarray, trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of Wilson's 95% interval of each share; 0 and 1 where there are no trials.

    Source: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209.
    """
    n = np.asarray(trials, dtype="float64")
    k = np.asarray(successes, dtype="float64")
    with np.errstate(invalid="ignore", divide="ignore"):
        share = k / n
        centre = (share + _Z95**2 / (2 * n)) / (1 + _Z95**2 / n)
        half = _Z95 / (1 + _Z95**2 / n) * np.sqrt(share * (1 - share) / n + _Z95**2 / (4 * n**2))
    low = np.where(k <= 0, 0.0, centre - half)
    high = np.where(k >= n, 1.0, centre + half)
    return np.where(n > 0, low, 0.0), np.where(n > 0, high, 1.0)


def stability(before: np.ndarray, now: np.ndarray) -> float:
    """Return the population stability index of counts by bin, to compare with `STABLE` and `SHIFTED`.

    Each bin counts as at least 1 in 10,000, because an empty bin would dominate. NaN where a side has no counts.
    """
    if not before.sum() or not now.sum():
        return float("nan")
    old, new = (np.maximum(counts / counts.sum(), _LEAST_SHARE) for counts in (before, now))
    return float(((new - old) * np.log(new / old)).sum())


def others_within(group: np.ndarray, at: np.ndarray, seconds: float) -> np.ndarray:
    """Count the others of each element's group within `seconds` of it. group: numbered from 0; at: whole seconds."""
    if not len(at):
        return np.zeros(0, dtype=int)
    # Groups are shifted apart by more than the whole time span: one sorted array then holds them all.
    stride = np.ptp(at) + 2 * seconds + 1
    line = group * stride + (at - at.min())
    ordered = np.sort(line)
    return ordered.searchsorted(line + seconds, "right") - ordered.searchsorted(line - seconds, "left") - 1
