"""Estimate a whole year's premium from its first months."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from quintet.insurance.forecast_panel import KEY, MONTHS_OF_A_YEAR

_FEWEST_CELLS = 30
_FOLDS = 5
_WEIGHTS = np.linspace(0, 1, 21)


@dataclass(frozen=True)
class YearToDate:
    """The weight of the first months and their estimates.

    year, months: the short year and its number of months. weight: of the estimate against the forecast, 0 to 1.
    wape_with, wape_without: of the year before, with its first months (weight from other agencies) and without them.
    estimates: agency_id, prod_line, estimate: the whole year in USD, estimated from its first months.
    """

    year: int
    months: int
    weight: float
    wape_with: float
    wape_without: float
    estimates: pd.DataFrame


def year_to_date(history: pd.DataFrame, last_year: int, forecasts: pd.DataFrame) -> YearToDate | None:
    """Return the weight of the months after `last_year`; None where there are none or it cannot be estimated.

    history: see `premium_history`. forecasts: agency_id, prod_line, forecast and actual of `last_year`, as forecast
    from the year before it.
    """
    short = history[(history["year"] == last_year + 1) & (history["months_covered"] < MONTHS_OF_A_YEAR)]
    short = short[[*KEY, "months_covered", "written_premium", "prev_written_premium"]].dropna()
    episode = forecasts[forecasts["forecast"] > 0].merge(short, on=KEY)
    if len(episode) < _FEWEST_CELLS:
        return None
    months = int(short["months_covered"].iloc[0])
    stated, whole = episode["prev_written_premium"].sum(), episode["actual"].sum()
    # Otherwise the previous-year columns cover the whole year, or are unusable.
    if not 0 < stated < whole * np.sqrt(months / MONTHS_OF_A_YEAR):
        return None
    sums = episode.groupby("prod_line")[["prev_written_premium", "actual"]].sum()
    share = (sums["prev_written_premium"] / sums["actual"].where(sums["actual"] > 0)).where(lambda part: part > 0)
    estimate = (episode["prev_written_premium"] / episode["prod_line"].map(share)).fillna(episode["forecast"])
    errors = _errors_by_weight(episode["forecast"], estimate, episode["actual"])
    fold = (episode["agency_id"].rank(method="dense").astype(int) % _FOLDS).to_numpy()
    with_months = sum(
        errors[fold == number, int(errors[fold != number].sum(axis=0).argmin())].sum() for number in np.unique(fold)
    )
    without_months = errors[:, 0].sum()
    helps = with_months < without_months
    actual = float(episode["actual"].abs().sum())
    return YearToDate(
        year=last_year + 1,
        months=months,
        weight=float(_WEIGHTS[errors.sum(axis=0).argmin()]) if helps else 0.0,
        wape_with=float(with_months) / actual,
        wape_without=float(without_months) / actual,
        estimates=short[KEY].assign(estimate=short["written_premium"] / short["prod_line"].map(share)).dropna(),
    )


def _errors_by_weight(forecast: pd.Series, estimate: pd.Series, actual: pd.Series) -> np.ndarray:
    """Return absolute errors, USD: one column per weight of `_WEIGHTS`."""
    moved = (estimate - forecast).to_numpy(float)[:, None] * _WEIGHTS
    return np.abs((forecast - actual).to_numpy(float)[:, None] + moved)
