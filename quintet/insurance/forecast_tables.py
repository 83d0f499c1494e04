"""The forecast as tables: write them to the warehouse, read them from a snapshot, sum them by line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from scipy import stats

from quintet.insurance.forecast import Forecast, describe, forecast, premium_history
from quintet.insurance.forecast_backtest import LEVELS
from quintet.warehouse.database import transaction
from quintet.warehouse.snapshot import records

TABLES = ("ml.premium_forecast", "ml.premium_forecast_backtest", "ml.premium_forecast_scores")

SCORE_COLUMNS = [
    *("model", "year", "is_chosen", "n", "wape", "wape_vs_naive", "bias", "coverage80", "coverage95"),
    *("mean_width80", "mean_width95", "explanation"),
]

_FEWEST_YEARS = 3
_KEY = ("agency_id", "prod_line", "year")


def write_forecast(connection: duckdb.DuckDBPyConnection) -> Forecast:
    """Forecast from the history and replace `TABLES` in one transaction. connection: to the warehouse."""
    result = forecast(premium_history(connection))
    frames = {"forecasts": result.forecasts, "backtest": result.backtest, "scores": scores_of(result)}
    with transaction(connection):
        for table, (name, frame) in zip(TABLES, frames.items(), strict=True):
            connection.register(name, frame)
            connection.execute(f"create or replace table {table} as select * from {name}")
            connection.unregister(name)
    return result


def scores_of(result: Forecast) -> pd.DataFrame:
    """Return the scores of every model, by year and, with a null year, over all years: `SCORE_COLUMNS`.

    explanation: the reason for the model in use, in words, on its pooled row and null elsewhere.
    """
    pooled = result.models.assign(year=None, explanation=None)
    pooled["explanation"] = pooled["explanation"].mask(pooled["is_chosen"], describe(result))
    chosen = set(result.models["model"][result.models["is_chosen"]])
    years = result.years.assign(is_chosen=result.years["model"].isin(chosen))
    both = pd.concat([pooled, years.astype({"year": object})], ignore_index=True)
    typed = both.astype({"year": "Int64", "explanation": "string", "n": "int64", "is_chosen": "bool"})
    return typed.reindex(columns=SCORE_COLUMNS)


def forecast_page(
    cursor: duckdb.DuckDBPyConnection,
    agencies: Sequence[int],
    prod_lines: Sequence[str],
    after: tuple[Any, ...] | None,
    limit: int,
) -> tuple[list[dict[str, Any]], tuple[Any, ...] | None]:
    """Return the next `limit` forecasts after the key (agency, line, year), and the next key (None on the last page).

    cursor: to a snapshot. Empty agencies or prod_lines mean all.
    """
    rows = cursor.execute(
        "select * from marts.fct_premium_forecast "
        "where (len($agencies) = 0 or list_contains($agencies, agency_id)) "
        "and (len($lines) = 0 or list_contains($lines, prod_line)) "
        "and ($after is null or (agency_id, prod_line, year) > "
        "($after.agency_id::bigint, $after.prod_line::varchar, $after.year::integer)) "
        "order by agency_id, prod_line, year limit $limit",
        {
            "agencies": list(agencies),
            "lines": list(prod_lines),
            "after": dict(zip(_KEY, after, strict=True)) if after else None,
            "limit": limit + 1,
        },
    )
    found = records(rows)
    page = found[:limit]
    return page, tuple(page[-1][name] for name in _KEY) if len(found) > limit else None


def forecast_scores(cursor: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Return `backtest`, the scores of every model, best first, and `explanation`, the reason for the model in use."""
    scores = records(
        cursor.execute(
            "select model, year, is_chosen, n, wape, wape_vs_naive, bias, coverage80, coverage95, explanation "
            "from marts.fct_premium_forecast_scores order by year nulls first, wape, model"
        )
    )
    explanation = next((score["explanation"] for score in scores if score["explanation"]), None)
    backtest = [{name: value for name, value in score.items() if name != "explanation"} for score in scores]
    return {"backtest": backtest, "explanation": explanation}


def line_totals(forecasts: pd.DataFrame, backtest: pd.DataFrame) -> pd.DataFrame:
    """Return the forecasts summed by line, with bands of the sum: prod_line, year, forecast, model, lo80 ... hi95.

    forecasts, backtest: as `forecast` returns them, or those of some agencies. The bands are prediction intervals of
    Student's t, from the errors of the same agencies' sum in the backtest; errors of agencies are correlated, so that
    their own bands do not add up. Null below three years. Amounts in USD.
    """
    sums = forecasts.groupby(["prod_line", "year", "model"])["forecast"].sum().reset_index()
    tested = backtest[backtest["model"].isin(sums["model"])]
    past = tested.groupby(["prod_line", "year"], as_index=False)[["actual", "forecast"]].sum()
    past = past[past["forecast"] > 0]
    squares = ((past["actual"] - past["forecast"]) / past["forecast"]) ** 2
    errors = squares.groupby(past["prod_line"]).agg(["mean", "count"]).reindex(sums["prod_line"])
    years = errors["count"].fillna(0).to_numpy()
    spread = np.sqrt(errors["mean"].to_numpy(dtype=float)) * sums["forecast"].abs().to_numpy()
    for level in LEVELS:
        width = stats.t.ppf(0.5 + level / 200, np.maximum(years, 1)) * spread
        width = np.where(years >= _FEWEST_YEARS, width, np.nan)
        sums[f"lo{level}"] = sums["forecast"] - width
        sums[f"hi{level}"] = sums["forecast"] + width
    return sums
