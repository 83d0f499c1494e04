"""The distribution of forecast errors: bands of agencies, of lines and of the total come from this one.

Each agency and line has the errors of its line and class of size in earlier years, as shares of premium. Errors of one
year are correlated: agencies of a line share a factor, and the factors of the lines share another (Gaussian copula).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr
from scipy.stats import t as student

LEVELS = (80, 95)
BANDS = [f"{side}{level}" for level in LEVELS for side in ("lo", "hi")]
FEWEST_YEARS = 3
"""The number of past years below which sums have no band: how errors of one year move together is then unknown."""

_TAILS = np.array([tail for level in LEVELS for tail in ((1 - level / 100) / 2, (1 + level / 100) / 2)])
_SIZE_CLASSES = 3
_FEWEST_OF_A_CLASS = 30
_FEWEST_OF_A_LINE = 9
"""The number of errors from which the 80% band is a quantile of them: a tenth of a new one's chance is beyond each."""
_KEPT_WEIGHT_A_YEAR = 0.8
_LARGEST_CORRELATION = 0.95
_DRAWS = 1_000
_CELLS_AT_ONCE = 2_000
_SEED = 0
_ROUNDING = 1e-12


@dataclass(frozen=True)
class _Errors:
    """Past errors of one line (or of all), by class of size. edges: between the classes, USD."""

    edges: np.ndarray
    values: list[np.ndarray]
    weights: list[np.ndarray]

    def class_of(self, size: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.edges, size)

    def quantiles(self, levels: np.ndarray) -> np.ndarray:
        """Return the quantiles of a new error: one row per class, one column per level."""
        return np.array([_quantiles(*each, levels) for each in zip(self.values, self.weights, strict=True)])

    def spread(self) -> np.ndarray:
        """Return the root mean square of each class."""
        pairs = zip(self.values, self.weights, strict=True)
        return np.array([_root_mean_square(values, weights) for values, weights in pairs])


@dataclass(frozen=True)
class ErrorDistribution:
    """The joint distribution of the errors of all agencies and lines in one year.

    within_line: correlation of two agencies of the same line. between_lines: correlation of two lines' factors.
    years: number of past years.
    """

    by_line: dict[str, _Errors]
    all_lines: _Errors
    within_line: dict[str, float]
    within_all_lines: float
    between_lines: float
    years: int

    def bands(self, now: pd.DataFrame) -> pd.DataFrame:
        """Return the bands of each row, USD, in the columns `BANDS`. now: prod_line, premium and forecast."""
        return _around(now["forecast"].to_numpy(float), self._relative(now, _TAILS) * _size(now)[:, None], now.index)

    def bands_of_sums(self, now: pd.DataFrame, group: pd.Series) -> pd.DataFrame:
        """Return the bands of the sums of rows by group, with the group as index; null below `FEWEST_YEARS`.

        Every group is summed over the same draws of all rows, so that the draws of the total are the sums of the lines.
        """
        sums = now.groupby(group.to_numpy())["forecast"].sum()
        if self.years < FEWEST_YEARS:
            return pd.DataFrame(np.nan, index=sums.index, columns=BANDS)
        drawn = np.zeros((len(sums), _DRAWS))
        place = sums.index.get_indexer(pd.Index(group))
        for start, errors in self._draws(now):
            np.add.at(drawn, place[start : start + len(errors)], errors)
        return _around(sums.to_numpy(float), np.quantile(drawn, _TAILS, axis=1).T, sums.index)

    def _draws(self, now: pd.DataFrame) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (first row, errors of the next rows in USD: one column per draw)."""
        rng = np.random.default_rng(_SEED)
        lines = sorted(now["prod_line"].unique())
        shared = np.sqrt(self.between_lines) * rng.standard_normal(_DRAWS)
        own = np.sqrt(1 - self.between_lines) * rng.standard_normal((len(lines), _DRAWS))
        line = now["prod_line"].map({name: number for number, name in enumerate(lines)}).to_numpy()
        correlation = now["prod_line"].map(self.within_line).fillna(self.within_all_lines).to_numpy(float)
        levels = (np.arange(_DRAWS) + 0.5) / _DRAWS
        size = _size(now)
        grids = [self._of(name).quantiles(levels) for name in lines]
        first = np.cumsum([0, *(len(grid) for grid in grids)])[line]
        grid = first + self._classes(now)
        quantiles = np.concatenate(grids) if lines else np.empty((0, _DRAWS))
        for start in range(0, len(now), _CELLS_AT_ONCE):
            part = slice(start, start + _CELLS_AT_ONCE)
            factor = (shared + own[line[part]]) * np.sqrt(correlation[part])[:, None]
            noise = rng.standard_normal(factor.shape) * np.sqrt(1 - correlation[part])[:, None]
            level = np.minimum((ndtr(factor + noise) * _DRAWS).astype(int), _DRAWS - 1)
            yield start, quantiles[grid[part, None], level] * size[part, None]

    def _relative(self, now: pd.DataFrame, levels: np.ndarray) -> np.ndarray:
        """Return the quantiles of each row's error as shares of premium: one column per level."""
        found, classes = np.empty((len(now), len(levels))), self._classes(now)
        for line in now["prod_line"].unique():
            here = (now["prod_line"] == line).to_numpy()
            found[here] = self._of(line).quantiles(levels)[classes[here]]
        return found

    def _classes(self, now: pd.DataFrame) -> np.ndarray:
        found = np.empty(len(now), dtype=int)
        for line in now["prod_line"].unique():
            here = (now["prod_line"] == line).to_numpy()
            found[here] = self._of(line).class_of(_size(now)[here])
        return found

    def _of(self, line: str) -> _Errors:
        return self.by_line.get(line, self.all_lines)


def error_distribution(past: pd.DataFrame) -> ErrorDistribution | None:
    """Return the distribution of errors of one candidate's past forecasts; None without any.

    past: year, prod_line, premium (of the year before, USD, not zero), actual and forecast. Errors of earlier years
    weigh less, and a line with few of them uses the errors of all lines.
    """
    if past.empty:
        return None
    error = (past["actual"] - past["forecast"]).to_numpy(float)
    weight = _KEPT_WEIGHT_A_YEAR ** (past["year"].max() - past["year"]).to_numpy(float)
    rows = pd.DataFrame(
        {"line": past["prod_line"].to_numpy(), "year": past["year"].to_numpy(), "size": _size(past), "weight": weight}
    ).assign(error=error, share=error / _size(past))
    all_lines = _errors_of(rows)
    by_line = {str(line): _errors_of(part) for line, part in rows.groupby("line") if len(part) >= _FEWEST_OF_A_LINE}
    for line, part in rows.groupby("line"):
        errors = by_line.get(str(line), all_lines)
        rows.loc[part.index, "spread"] = errors.spread()[errors.class_of(part["size"].to_numpy())] * part["size"]
    years = rows["year"].nunique()
    rows["variance"] = rows["spread"] ** 2
    sums = rows.groupby(["line", "year"])[["error", "spread", "variance"]].sum()
    within = {line: _within(sums.loc[[line]], years) for line in by_line}
    return ErrorDistribution(by_line, all_lines, within, _within(sums, years), _between(sums, within, years), years)


def _within(sums: pd.DataFrame, years: int) -> float:
    """Return the correlation at which sums of a line vary as much as they did. sums: by line and year."""
    excess = (sums["error"] ** 2 - sums["variance"]).sum()
    return _correlation(excess, (sums["spread"] ** 2 - sums["variance"]).sum(), years)


def _between(sums: pd.DataFrame, within: dict[str, float], years: int) -> float:
    """Return the correlation of lines' factors at which the total varies as much as it did."""
    factor = sums["spread"] * np.sqrt(sums.index.get_level_values("line").map(within).fillna(0.0).to_numpy(float))
    products = pd.DataFrame({"error": sums["error"], "factor": factor, "own": factor**2, "square": sums["error"] ** 2})
    by_year = products.groupby("year").sum()
    excess = (by_year["error"] ** 2 - by_year["square"]).sum()
    return _correlation(excess, (by_year["factor"] ** 2 - by_year["own"]).sum(), years)


def _correlation(excess: float, most: float, years: int) -> float:
    """Return `excess` by `most`, widened because few years are known (as the variance of Student's t); 0 at least."""
    if years < FEWEST_YEARS or excess <= 0 or most <= 0:
        return 0.0
    return float(min(excess / most * years / (years - 2), _LARGEST_CORRELATION))


def _errors_of(rows: pd.DataFrame) -> _Errors:
    size = rows["size"].to_numpy()
    classes = max(1, min(_SIZE_CLASSES, len(rows) // _FEWEST_OF_A_CLASS))
    edges = np.quantile(size, np.arange(1, classes) / classes)
    number = np.searchsorted(edges, size)
    # Ties in size can leave a class without errors; it then uses all errors.
    kept = [rows[number == each] if (number == each).any() else rows for each in range(classes)]
    return _Errors(edges, [each["share"].to_numpy() for each in kept], [each["weight"].to_numpy() for each in kept])


def _quantiles(values: np.ndarray, weights: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return conformal quantiles: a new error counts as one more, with the weight of the latest, in the farther tail.

    Beyond what this many errors can tell, the tail is at least that of Student's t.
    """
    upper = levels >= 0.5
    result = np.empty(len(levels))
    for sign, here in ((1.0, upper), (-1.0, ~upper)):
        wanted = levels[here] if sign > 0 else 1 - levels[here]
        order = np.argsort(sign * values, kind="stable")
        reached = np.cumsum(weights[order]) / (weights.sum() + weights.max())
        place = np.searchsorted(reached, wanted - _ROUNDING)
        found = (sign * values)[order][np.minimum(place, len(values) - 1)]
        tail = _root_mean_square(values, weights) * student.ppf(wanted, len(values))
        result[here] = sign * np.where(place < len(values), found, np.maximum(found, tail))
    return result


def _root_mean_square(values: np.ndarray, weights: np.ndarray) -> float:
    return float(np.sqrt(np.average(values**2, weights=weights)))


def _size(rows: pd.DataFrame) -> np.ndarray:
    return rows["premium"].abs().to_numpy(float)


def _around(forecast: np.ndarray, errors: np.ndarray, index: pd.Index) -> pd.DataFrame:
    """Return forecasts plus quantiles of errors, one column per tail; a band always holds its forecast."""
    kept = np.where(_TAILS < 0.5, np.minimum(errors, 0.0), np.maximum(errors, 0.0))
    return pd.DataFrame(forecast[:, None] + kept, index=index, columns=BANDS)
