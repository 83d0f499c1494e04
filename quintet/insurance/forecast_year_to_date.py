"""What the first months of a year say about the whole of it."""

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
    """How the months so far count.

    year, months: the short year and how much of it is in. weight: what they count beside the forecast, 0 to 1.
    wape_with, wape_without: of the year before, with its first months (weighed by other agencies) and without them.
    estimates: agency_id, prod_line, estimate: the whole year in USD as the months so far have it.
    """

    year: int
    months: int
    weight: float
    wape_with: float
    wape_without: float
    estimates: pd.DataFrame


def year_to_date(history: pd.DataFrame, last_year: int, forecasts: pd.DataFrame) -> YearToDate | None:
    """What the months of the year after `last_year` count; None where there are none or they cannot be judged.

    history: see `premium_history`. forecasts: agency_id, prod_line, forecast and actual of `last_year`, as forecast
    from the year before it.
    """
    short = history[(history["year"] == last_year + 1) & (history["months_covered"] < MONTHS_OF_A_YEAR)]
    short = short[[*KEY, "months_covered", "written_premium", "prev_written_premium"]].dropna()
    episode = forecasts[forecasts["forecast"] > 0].merge(short, on=KEY)
    if len(episode) < _FEWEST_CELLS:
        return None
    months = int(short["months_covered"].iloc[0])
    told, whole = episode["prev_written_premium"].sum(), episode["actual"].sum()
    # Else the rows state the whole of the year before, or nothing of use.
    if not 0 < told < whole * np.sqrt(months / MONTHS_OF_A_YEAR):
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
    """Absolute errors, USD: a row a row, a column a weight of `_WEIGHTS`."""
    moved = (estimate - forecast).to_numpy(float)[:, None] * _WEIGHTS
    return np.abs((forecast - actual).to_numpy(float)[:, None] + moved)
