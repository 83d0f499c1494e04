"""Forecast next year's written premium of each agency and line, with bands and a backtest."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pandas as pd

from quintet.insurance.forecast_backtest import (
    BEST_SO_FAR,
    WORTHWHILE,
    ForecastsAt,
    alive,
    backtest,
    bands,
    choose,
    coverage_by_line,
    forecasts_at,
    rolling_forecasts,
    score,
)
from quintet.insurance.forecast_errors import BANDS, LEVELS
from quintet.insurance.forecast_models import NAIVE, candidate_forecasts
from quintet.insurance.forecast_panel import KEY, panel
from quintet.insurance.forecast_year_to_date import YearToDate, year_to_date

_COLUMNS = {
    "agency_id": "int64",
    "prod_line": "str",
    "year": "int64",
    "premium": "float64",
    "forecast": "float64",
    **dict.fromkeys(BANDS, "float64"),
    "model": "str",
    "origin_year": "int64",
}
FORECAST_COLUMNS = list(_COLUMNS)

_NAMES = {
    NAIVE: "the last complete year, unchanged",
    "line_growth": "the last complete year, scaled by the usual growth of its line",
    "linear": "a robust linear model of growth",
    "boosting": "gradient-boosted trees",
    "forest": "a forest of trees",
    "combination": "the mean of the last complete year, a robust linear model and a forest of trees",
}


@dataclass(frozen=True)
class Forecast:
    """Forecasts, their backtest and scores; amounts in USD.

    forecasts: `FORECAST_COLUMNS`, one row per agency and line with premium in the last complete year; `year` is the
    year after it, `premium` that of the last complete year. `origin_year` is the latest year used: the last complete
    year, or the short year after it where its months have a weight. Bands are null without an earlier forecast to
    compare.
    backtest: see `forecast_backtest.backtest`. models, years: see `forecast_backtest.score`.
    year_to_date: the weight of a short year's months, None where it cannot be estimated.
    """

    forecasts: pd.DataFrame
    backtest: pd.DataFrame
    models: pd.DataFrame
    years: pd.DataFrame
    year_to_date: YearToDate | None


def premium_history(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Return one row per agency, line and year: months_covered of the year, and sums over products and states.

    connection: to the warehouse. Amounts in USD, from the dbt model `int_premium_history`, which describes the columns.
    Raises duckdb.CatalogException where it is not built.
    """
    return connection.execute("from intermediate.int_premium_history order by agency_id, prod_line, year").df()


def forecast(history: pd.DataFrame, at: ForecastsAt = forecasts_at) -> Forecast:
    """Forecast the year after the last complete one, with the best candidate of the backtest.

    history: as `premium_history` returns it. Deterministic. Raises KeyError where a column is missing.
    at: as for `rolling_forecasts`.
    """
    known = panel(history)
    rolled = rolling_forecasts(known, at)
    chosen = choose(rolled)
    tested = backtest(rolled)
    models, years = score(tested, chosen)
    complete = known.loc[known["is_complete"], "year"]
    if complete.empty:
        return Forecast(pd.DataFrame(columns=FORECAST_COLUMNS).astype(_COLUMNS), tested, models, years, None)
    last_year = int(complete.max())
    now = alive(known, last_year)
    of_chosen = rolled[rolled["model"] == chosen]
    made = candidate_forecasts(known[known["year"] < last_year], now)[chosen]
    rows = now[[*KEY, "premium"]].assign(year=last_year + 1, forecast=made, model=chosen, origin_year=last_year)
    rows = pd.concat([rows, bands(of_chosen, rows)], axis=1)
    to_date = year_to_date(history, last_year, of_chosen[of_chosen["year"] == last_year])
    if to_date is not None and to_date.weight > 0:
        rows = _moved(rows, to_date)
    return Forecast(rows[FORECAST_COLUMNS].astype(_COLUMNS).reset_index(drop=True), tested, models, years, to_date)


def _moved(rows: pd.DataFrame, to_date: YearToDate) -> pd.DataFrame:
    """Return forecasts and bands, moved towards the year-to-date estimate; the width of a band stays."""
    merged = rows.merge(to_date.estimates, on=KEY, how="left")
    move = (to_date.weight * (merged["estimate"] - merged["forecast"])).where(merged["forecast"] > 0).fillna(0.0)
    amounts = ["forecast", *BANDS]
    merged[amounts] = merged[amounts].add(move, axis=0)
    merged["origin_year"] = merged["origin_year"].mask(merged["estimate"].notna(), to_date.year)
    return merged


def describe(result: Forecast) -> str:
    """Return one sentence on the chosen model and its gain over the last complete year."""
    if result.forecasts.empty:
        return "There is no complete year with premium to forecast from."
    chosen = str(result.models["model"][result.models["is_chosen"]].iloc[0])
    opening = f"The forecast of {result.forecasts['year'].iloc[0]} is {_NAMES[chosen]}"
    if result.years.empty:
        return f"{opening}: there are too few complete years to test another."
    naive, used, rolling = (
        result.models.loc[result.models["model"] == name].iloc[0] for name in (NAIVE, chosen, BEST_SO_FAR)
    )
    first, last = result.years["year"].min(), result.years["year"].max()
    tested = f"{first}-{last}" if first < last else f"{first}"
    bands_held = " and ".join(f"the {level}% band held {used[f'coverage{level}']:.0%}" for level in LEVELS)
    by_line = coverage_by_line(result.backtest, chosen)
    if len(by_line) > 1:
        each = zip(by_line["prod_line"], by_line["coverage80"], strict=True)
        bands_held = bands_held.replace(" and ", f" ({', '.join(f'{line} {held:.0%}' for line, held in each)}) and ", 1)
    if chosen == NAIVE:
        return (
            f"{opening}: no other model has forecast better by {WORTHWHILE:.0%} or more "
            f"(WAPE {naive['wape']:.3f} over {tested}; {bands_held} of the outcomes)."
        )
    hindsight = (
        f", {_than_naive(rolling['wape_vs_naive'])} where earlier years choose the model"
        if abs(rolling["wape_vs_naive"] - used["wape_vs_naive"]) >= 0.0005
        else ""
    )
    return (
        f"{opening}: over {tested} its WAPE is {used['wape']:.3f}, {_than_naive(used['wape_vs_naive'])} the "
        f"{naive['wape']:.3f} of the last complete year{hindsight}; "
        f"{bands_held} of the outcomes{_months(result.year_to_date)}."
    )


def _than_naive(difference: float) -> str:
    if abs(difference) < 0.0005:
        return "equal to"
    return f"{abs(difference):.1%} {'above' if difference > 0 else 'below'}"


def _months(to_date: YearToDate | None) -> str:
    if to_date is None or to_date.weight == 0:
        return ""
    return f"; the first {to_date.months} months of {to_date.year} have a weight of {to_date.weight:.0%}"
