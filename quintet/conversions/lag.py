"""Estimate the density of the lag from conversion to row: a smoothed histogram, in one-second bins for short lags."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.linalg import solveh_banded

from quintet.conversions.clock import conversions_before, rarity
from quintet.conversions.matching_model import LagDensity

LONGEST_LAG_SECONDS = 6 * 3_600
EDGES_SECONDS = np.unique(
    np.concatenate([np.arange(61), np.geomspace(60, LONGEST_LAG_SECONDS, 61).round().astype(np.int64)])
)
_SAMPLE_ROWS = 20_000
_BEND = 0.1  # usual second difference of the log density from bin to bin
_NEWTON_ROUNDS = 50


def first_density(index: np.ndarray, country: np.ndarray, at: np.ndarray) -> LagDensity:
    """Return the density from pairs of equal country: conversions before the row minus conversions as long after it.

    index: `clock.conversion_index`. country, at: rows on our clock. Flat over an hour where there is no excess.
    """
    sample = slice(None, None, max(len(at) // _SAMPLE_ROWS, 1))
    country, at = country[sample], at[sample]
    order = np.lexsort((at, country))  # as the index: neighbouring look-ups share the processor's cache
    country, at = country[order], at[order]
    weight = rarity(index, country, 3_600)
    here = conversions_before(index, country, at)
    with ThreadPoolExecutor() as pool:  # a search in a sorted array leaves the interpreter free
        both_sides = [*-EDGES_SECONDS, *EDGES_SECONDS]
        shifted = pool.map(lambda edge: conversions_before(index, country, at + edge), both_sides)
        between = np.array([weight @ np.abs(here - conversions) for conversions in shifted])
    before, after = np.split(between, 2)
    noise = np.sqrt(weight.mean() * (before + after)) if len(at) else np.zeros(len(EDGES_SECONDS))
    excess = before - after
    least = (excess - 2 * noise).max()
    if not len(at) or least <= 0:
        return LagDensity((0, 3_600), (1.0,))
    # Twice the lag that covers all of the excess: beyond it, the difference is noise.
    until = EDGES_SECONDS[int(np.argmax(excess >= least))]
    edges = EDGES_SECONDS[: int(np.searchsorted(EDGES_SECONDS, 2 * until)) + 1]
    counts = np.maximum(np.diff(excess[: len(edges)]), 0)
    return smooth(edges, counts)


def smooth(edges: np.ndarray, counts: np.ndarray) -> LagDensity:
    """Return the density of `counts` by bin, smoothed on the log scale (a Poisson P-spline).

    Full bins keep their own level, thin ones borrow from their neighbours; a small floor keeps every lag possible.
    """
    widths = np.diff(edges).astype(float)
    total = max(counts.sum(), 1e-9)
    exposure = np.log(widths) + np.log(total / widths.sum())
    bends = np.zeros((3, len(counts)))  # the penalty's three diagonals, as solveh_banded wants them
    second = np.array([1.0, -2.0, 1.0])
    for first in range(len(counts) - 2):
        for i in range(3):
            for j in range(i, 3):
                bends[2 - (j - i), first + j] += second[i] * second[j]
    bends /= _BEND**2
    curve = np.log((counts + 0.1) / (widths * total / widths.sum() + 0.1))
    for _ in range(_NEWTON_ROUNDS):
        expected = np.exp(np.clip(curve + exposure, -30, 30))
        system = bends.copy()
        system[2] += expected + 1e-6
        step = solveh_banded(system, expected * curve + counts - expected)
        step = curve + np.clip(step - curve, -2, 2)
        settled = np.abs(step - curve).max() < 1e-6
        curve = step
        if settled:
            break
    mass = np.exp(np.clip(curve + exposure, -30, 30))
    mass = mass + 1e-5 * mass.sum() * widths / widths.sum()
    return LagDensity(tuple(int(edge) for edge in edges), tuple(float(share) for share in mass / mass.sum()))


def cut(density: LagDensity, kept_mass: float) -> LagDensity:
    """Return the density without its far tail: `kept_mass` of the links remains."""
    mass = np.array(density.mass)
    kept = min(int(np.searchsorted(np.cumsum(mass), kept_mass)) + 1, len(mass))
    share = mass[:kept] / mass[:kept].sum()
    return LagDensity(density.edges_seconds[: kept + 1], tuple(float(each) for each in share))
