"""Compare groups with the rest: intervals, a stratified test, the false discovery rate.

The null hypothesis: a group's values are a random draw from the values of its strata. The statistic is the
Cochran-Mantel-Haenszel statistic, for shares and for mean scores. As good scores are rare, the null distribution is
skewed: it is approximated by three moments (Pearson's type III), as a normal approximation would report false findings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import special, stats

from quintet.ml.statistics import wilson

CONFIDENCE = 0.95
_Z = float(special.ndtri(0.5 + CONFIDENCE / 2))

LEAST_EXPECTED = 5
"""A group is tested where it and the rest are each expected to have this many rows with and without the outcome."""

LEAST_ROWS_FOR_A_MEAN = 30
"""The mean of a group with fewer rows has no interval: it would be too narrow, since scores are skewed."""


def mean_interval(n: np.ndarray, total: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the 95% t interval of each mean; NaN below LEAST_ROWS_FOR_A_MEAN rows."""
    n = np.asarray(n, dtype="float64")
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / n
        variance = np.maximum(squares - n * mean**2, 0) / (n - 1)
        half = special.stdtrit(n - 1, 0.5 + CONFIDENCE / 2) * np.sqrt(variance / n)
    known = n >= LEAST_ROWS_FOR_A_MEAN
    return np.where(known, mean - half, np.nan), np.where(known, mean + half, np.nan)


def false_discovery(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the q values of Benjamini and Hochberg. NaN, a comparison that was not made, stays and does not count."""
    p = np.asarray(p_values, dtype="float64")
    q = np.full(len(p), np.nan)
    made = ~np.isnan(p)
    if made.any():
        q[made] = stats.false_discovery_control(p[made])
    return q


def compare(cells: pd.DataFrame, is_share: bool) -> pd.DataFrame:
    """Return the comparison of each level with the rest, overall and among its equals.

    cells: level, stratum, n, total, squares, cubes (sums of the values of the rows and of their powers), a row for each
    level in each stratum. is_share: the values are 0 and 1.
    Columns: level, n, total, mean, low, high; rest_mean, difference (mean less rest_mean, with _low, _high); adjusted
    (the difference within strata, weighted as Mantel and Haenszel do, with _low, _high), compared (rows in strata that
    have others too), p_value (within strata; null where too few rows are expected); the largest level first.
    """
    codes, names = pd.factorize(cells["level"], sort=True)  # numbers group several times as fast as texts
    coded = cells[["n", "total", "squares", "cubes"]].assign(level=codes, stratum=pd.factorize(cells["stratum"])[0])
    plain = _against_rest(coded.assign(stratum=0).groupby(["level", "stratum"], as_index=False).sum(), is_share)
    within = _against_rest(coded, is_share)
    result = plain[["level", "n", "total", "mean", "rest_mean", "difference", "difference_low", "difference_high"]]
    low, high = (
        wilson(plain["total"].to_numpy(), plain["n"].to_numpy())
        if is_share
        else mean_interval(plain["n"].to_numpy(), plain["total"].to_numpy(), plain["squares"].to_numpy())
    )
    result = result.assign(low=low, high=high)
    adjusted = within[["level", "difference", "difference_low", "difference_high", "compared", "p_value"]].rename(
        columns=lambda name: name.replace("difference", "adjusted")
    )
    result = result.merge(adjusted, on="level", how="left")
    result["level"] = names.take(result["level"].to_numpy("int64"))
    return result.sort_values(["n", "level"], ascending=[False, True], ignore_index=True)


def _against_rest(cells: pd.DataFrame, is_share: bool) -> pd.DataFrame:
    rows = cells.sort_values(["level", "stratum"], ignore_index=True)
    n, total = rows["n"].to_numpy("float64"), rows["total"].to_numpy("float64")
    sums = rows.groupby("stratum")[["n", "total", "squares", "cubes"]].transform("sum")
    all_n, all_total, all_squares, all_cubes = (sums[name].to_numpy("float64") for name in sums)
    mean = all_total / all_n
    rest = all_n - n
    moment2 = np.maximum(all_squares / all_n - mean**2, 0)
    moment3 = all_cubes / all_n - 3 * mean * all_squares / all_n + 2 * mean**3
    with np.errstate(invalid="ignore", divide="ignore"):
        # Cumulants of the sum of n values drawn without replacement from the stratum's.
        variance = np.where(all_n > 1, n * rest * moment2 / (all_n - 1), 0)
        third = np.where(all_n > 2, n * rest * (rest - n) * moment3 / ((all_n - 1) * (all_n - 2)), 0)
    is_shared = rest > 0
    parts = pd.DataFrame(
        {
            "level": rows["level"],
            "n": n,
            "total": total,
            "squares": rows["squares"].to_numpy("float64"),
            "excess": total - n * mean,
            "weight": n * rest / all_n,
            "variance": variance,
            "third": third,
            "own_share": rest**2 * n / all_n**2,
            "rest_share": n**2 * rest / all_n**2,
            "compared": np.where(is_shared, n, 0),
            "expected": np.where(is_shared, n * mean, 0),
            "expected_rest": np.where(is_shared, rest * mean, 0),
            "rest_compared": np.where(is_shared, rest, 0),
        }
    )
    levels = parts.groupby("level", as_index=False).sum()
    every_n, every_total, every_squares = n.sum(), total.sum(), parts["squares"].sum()
    rest_n = every_n - levels["n"]
    own = _variance(levels["n"], levels["total"], levels["squares"], is_share)
    other = _variance(rest_n, every_total - levels["total"], every_squares - levels["squares"], is_share)
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = levels["excess"] / levels["weight"]
        half = _Z * np.sqrt(levels["own_share"] * own + levels["rest_share"] * other) / levels["weight"]
        rest_mean = (every_total - levels["total"]) / rest_n
    p_value = _p_values(levels["excess"], levels["variance"], levels["third"])
    return levels.assign(
        mean=levels["total"] / levels["n"],
        rest_mean=rest_mean,
        difference=difference,
        difference_low=difference - half,
        difference_high=difference + half,
        p_value=np.where(_is_testable(levels, is_share), p_value, np.nan),
    ).astype({"n": "int64", "compared": "int64"})


def _is_testable(levels: pd.DataFrame, is_share: bool) -> np.ndarray:
    """Return whether enough rows of each kind are expected on both sides; the observed outcome does not matter."""
    if not is_share:
        enough = np.minimum(levels["compared"], levels["rest_compared"]) >= LEAST_ROWS_FOR_A_MEAN
        return np.asarray(enough & (levels["variance"] > 0))
    smallest = np.minimum.reduce(
        [
            levels["expected"],
            levels["expected_rest"],
            levels["compared"] - levels["expected"],
            levels["rest_compared"] - levels["expected_rest"],
        ]
    )
    return np.asarray((smallest >= LEAST_EXPECTED) & (levels["variance"] > 0))


def _variance(n: pd.Series, total: pd.Series, squares: pd.Series, is_share: bool) -> pd.Series:
    if is_share:  # add two of each (Agresti and Coull), so that a share of zero has a width
        share = (total + 2) / (n + 4)
        return share * (1 - share)
    return (squares - total**2 / n).clip(lower=0) / (n - 1)


def _p_values(excess: pd.Series, variance: pd.Series, third: pd.Series) -> np.ndarray:
    """Return two-sided p values of sums with these three cumulants, by Pearson's type III."""
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (excess / np.sqrt(variance)).to_numpy("float64")
        skew = (third / variance**1.5).to_numpy("float64")
        sign = np.where(skew < 0, -1.0, 1.0)
        shape = 4 / np.maximum(np.abs(skew), 1e-9) ** 2
        at = np.maximum(shape + sign * z * np.sqrt(shape), 0)
        above, below = special.gammaincc(shape, at), special.gammainc(shape, at)
        is_normal = np.abs(skew) < 1e-3
        one_side = np.where(is_normal, special.ndtr(-np.abs(z)), np.minimum(above, below))
    return np.minimum(2 * one_side, 1.0)
