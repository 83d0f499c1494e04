"""Backtest the candidates: forecast each past year from the data known by then."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from quintet.insurance.forecast_errors import BANDS, LEVELS, error_distribution
from quintet.insurance.forecast_models import CANDIDATES, NAIVE, candidate_forecasts
from quintet.insurance.forecast_panel import KEY

BEST_SO_FAR = "best_so_far"
"""Not a candidate but the selection itself: in each year, the candidate with the lowest error in earlier years."""
WARM_UP_YEARS = 2
"""Target years that only select the candidate and fit the bands, before the first one that is scored."""
WORTHWHILE = 0.01
"""The share by which a candidate's WAPE must be below naive's to be preferred."""

BACKTEST_COLUMNS = ["model", "origin_year", "year", *KEY, "premium", "actual", "forecast", *BANDS]
MODEL_COLUMNS = [
    *("model", "wape", "wape_vs_naive", "coverage80", "coverage95", "mean_width80", "mean_width95", "bias", "n"),
    "is_chosen",
]
YEAR_COLUMNS = ["model", "year", "wape", "coverage80", "coverage95", "n"]

_CENT = 0.01


def alive(panel: pd.DataFrame, year: int) -> pd.DataFrame:
    """Return the rows of agencies and lines that wrote (or returned) any premium in the year."""
    return panel[(panel["year"] == year) & (panel["premium"].abs() >= _CENT)]


ForecastsAt = Callable[[pd.DataFrame, int], pd.DataFrame]
"""A function of the panel and a year, as `forecasts_at`."""


def forecasts_at(panel: pd.DataFrame, origin: int) -> pd.DataFrame:
    """Return every candidate's forecasts at a year, as rows of `rolling_forecasts`.

    They depend only on the rows of the panel until that year.
    """
    now = alive(panel, origin)
    forecasts = candidate_forecasts(panel[panel["year"] < origin], now)
    rows = now[[*KEY, "premium"]].assign(actual=now["next_premium"], origin_year=origin, year=origin + 1)
    by_candidate = [rows.assign(model=name, forecast=forecasts[name]) for name in forecasts.columns.astype(str)]
    return pd.concat(by_candidate, ignore_index=True)[list(empty_forecasts())]


def rolling_forecasts(panel: pd.DataFrame, at: ForecastsAt = forecasts_at) -> pd.DataFrame:
    """Return every candidate's forecasts at each complete year that a complete year follows, from data up to it.

    Columns: model, origin_year, year, agency_id, prod_line, premium (of the origin's year), actual, forecast, all
    amounts in USD; a candidate has no rows where there was too little data to fit it. at: returns those at a year.
    """
    complete = set(panel.loc[panel["is_complete"], "year"])
    origins = sorted(int(year) for year in complete if year + 1 in complete)
    return pd.concat([empty_forecasts(), *(at(panel, origin) for origin in origins)], ignore_index=True)


def empty_forecasts() -> pd.DataFrame:
    """Return a frame without rows that has the columns and types of `rolling_forecasts`."""
    kinds = {"model": str, "origin_year": int, "year": int, "agency_id": int, "prod_line": str}
    amounts = dict.fromkeys(("premium", "actual", "forecast"), float)
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in (kinds | amounts).items()})


def choose(rolled: pd.DataFrame) -> str:
    """Return the candidate with the lowest WAPE over the target years that all candidates have.

    Naive where these are too few, or where no candidate is better than naive by `WORTHWHILE`.
    rolled: see `rolling_forecasts`; only the years that count as known.
    """
    fitted_years = rolled.loc[rolled["model"] != NAIVE, "year"].unique()
    if len(fitted_years) < WARM_UP_YEARS:
        return NAIVE
    common = rolled[rolled["year"].isin(fitted_years)]
    error = (common["forecast"] - common["actual"]).abs().groupby(common["model"]).sum()
    error[NAIVE] *= 1 - WORTHWHILE
    return str(error.reindex(CANDIDATES).idxmin())


def bands(past: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Return bands around the forecasts of `now`, USD, in the columns `BANDS`; null where there is no past.

    past: year, prod_line, premium, actual and forecast of one candidate in earlier target years. now: prod_line,
    premium and forecast. See `forecast_errors`.
    """
    errors = error_distribution(past)
    return pd.DataFrame(np.nan, index=now.index, columns=BANDS) if errors is None else errors.bands(now)


def backtest(rolled: pd.DataFrame) -> pd.DataFrame:
    """Return the forecasts of all target years, with bands and rows of `BEST_SO_FAR` from the warm-up on.

    Bands and selection of a year use only the years before it; those of the warm-up are null. Columns:
    `BACKTEST_COLUMNS`.
    """
    years = sorted(int(year) for year in rolled["year"].unique())
    warm_up = rolled[rolled["year"].isin(years[:WARM_UP_YEARS])].assign(**dict.fromkeys(BANDS, np.nan))
    scored = [_with_bands(rolled, year) for year in years[WARM_UP_YEARS:]]
    return pd.concat([warm_up, *scored])[BACKTEST_COLUMNS].reset_index(drop=True)


def _with_bands(rolled: pd.DataFrame, year: int) -> pd.DataFrame:
    past, now = rolled[rolled["year"] < year], rolled[rolled["year"] == year]
    pairs = ((past[past["model"] == name], now[now["model"] == name]) for name in CANDIDATES)
    banded = pd.concat([pd.concat([mine, bands(before, mine)], axis=1) for before, mine in pairs])
    return pd.concat([banded, banded[banded["model"] == choose(past)].assign(model=BEST_SO_FAR)])


def score(tested: pd.DataFrame, chosen: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the scores of a backtest: over all years (`MODEL_COLUMNS`, best first) and by year (`YEAR_COLUMNS`).

    WAPE is the sum of absolute errors by the sum of absolute actuals. `wape_vs_naive` is relative to naive over the
    same years (-0.08: 8% lower), `bias` the sum of errors by the sum of actuals, widths are means in USD. Rows without
    bands, as those of the warm-up, are not scored. A candidate without scored rows has n = 0 and no scores.
    """
    tested = tested[tested[BANDS].notna().all(axis=1)]
    tested = tested.assign(
        error=tested["forecast"] - tested["actual"],
        size=tested["actual"].abs(),
        **{f"in{level}": tested["actual"].between(tested[f"lo{level}"], tested[f"hi{level}"]) for level in LEVELS},
        **{f"width{level}": tested[f"hi{level}"] - tested[f"lo{level}"] for level in LEVELS},
    )
    tested["absolute_error"] = tested["error"].abs()
    naive = tested.loc[tested["model"] == NAIVE].groupby("year")["absolute_error"].sum()
    tested["naive_error"] = tested["year"].map(naive) / tested.groupby(["model", "year"])["year"].transform("size")
    models = _scores(tested, ["model"]).reindex([*CANDIDATES, BEST_SO_FAR]).rename_axis("model").reset_index()
    models["n"] = models["n"].fillna(0).astype(int)
    models["is_chosen"] = models["model"] == chosen
    years = _scores(tested, ["model", "year"]).reset_index()
    models = models.sort_values("wape", kind="stable", na_position="last", ignore_index=True)
    return models[MODEL_COLUMNS], years[YEAR_COLUMNS]


def coverage_by_line(tested: pd.DataFrame, model: str) -> pd.DataFrame:
    """Return the shares of outcomes that one model's bands held: prod_line, coverage80, coverage95 and n."""
    rows = tested[(tested["model"] == model) & tested[BANDS].notna().all(axis=1)]
    held = {
        f"coverage{level}": rows["actual"].between(rows[f"lo{level}"], rows[f"hi{level}"]).astype(float)
        for level in LEVELS
    }
    grouped = pd.DataFrame(held).groupby(rows["prod_line"])
    return grouped.mean().assign(n=grouped.size()).reset_index()


def _scores(tested: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    grouped = tested.groupby(by)
    total = grouped[["error", "absolute_error", "naive_error", "size", "actual"]].sum()
    means = grouped[[f"{name}{level}" for level in LEVELS for name in ("in", "width")]].mean()
    return pd.DataFrame(
        {
            "wape": _by(total["absolute_error"], total["size"]),
            "wape_vs_naive": _by(total["absolute_error"], total["naive_error"]) - 1,
            **{f"coverage{level}": means[f"in{level}"] for level in LEVELS},
            **{f"mean_width{level}": means[f"width{level}"] for level in LEVELS},
            "bias": _by(total["error"], total["actual"]),
            "n": grouped.size(),
        }
    )


def _by(numerator: pd.Series, denominator: pd.Series) -> pd.Series:
    return numerator / denominator.where(denominator != 0)
