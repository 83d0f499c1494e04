"""The forecast as tables: write them to the warehouse, read them from a snapshot, sum them by line."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from quintet.insurance.forecast import Forecast, describe, forecast, premium_history
from quintet.insurance.forecast_errors import BANDS, ErrorDistribution, error_distribution
from quintet.insurance.kept_forecasts import KeptForecasts
from quintet.warehouse.database import transaction
from quintet.warehouse.snapshot import records

TABLES = ("ml.premium_forecast", "ml.premium_forecast_backtest", "ml.premium_forecast_scores")

SCORE_COLUMNS = [
    *("model", "year", "is_chosen", "n", "wape", "wape_vs_naive", "bias", "coverage80", "coverage95"),
    *("mean_width80", "mean_width95", "explanation"),
]

ALL_LINES = "all"
"""The `prod_line` of the total."""
_KEY = ("agency_id", "prod_line", "year")


def write_forecast(connection: duckdb.DuckDBPyConnection) -> Forecast:
    """Forecast from the history and replace `TABLES` in one transaction. connection: to the warehouse."""
    kept = KeptForecasts.read(connection)
    result = forecast(premium_history(connection), kept.at)
    frames = {"forecasts": result.forecasts, "backtest": result.backtest, "scores": scores_of(result)}
    with transaction(connection):
        for table, (name, frame) in zip(TABLES, frames.items(), strict=True):
            connection.register(name, frame)
            connection.execute(f"create or replace table {table} as select * from {name}")
            connection.unregister(name)
    kept.write(connection)  # in the other file of the warehouse, which a transaction cannot write to as well
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


def total_records(
    cursor: duckdb.DuckDBPyConnection, agencies: Sequence[int], prod_lines: Sequence[str]
) -> list[dict[Hashable, Any]]:
    """Return the rows of `forecast_totals` with null for what is not known; empty agencies mean all."""
    totals = forecast_totals(cursor, agencies or None, prod_lines).astype("object")
    return totals.where(totals.notna(), None).to_dict("records")


def forecast_totals(
    cursor: duckdb.DuckDBPyConnection, agencies: Sequence[int] | None, prod_lines: Sequence[str]
) -> pd.DataFrame:
    """Return the sums of the forecasts of some agencies and lines, as `line_totals` does.

    cursor: to a snapshot. None means all agencies, an empty list of lines all lines.
    """
    forecasts = cursor.execute(
        "from marts.fct_premium_forecast where ($agencies is null or list_contains($agencies, agency_id)) "
        "and (len($lines) = 0 or list_contains($lines, prod_line)) order by agency_id, prod_line",
        {"agencies": None if agencies is None else list(agencies), "lines": list(prod_lines)},
    ).df()
    past = cursor.execute(
        "select year, prod_line, premium, actual, forecast from marts.fct_premium_forecast_backtest "
        "where model in (select model from marts.fct_premium_forecast) order by year, agency_id, prod_line"
    ).df()
    return line_totals(forecasts, past)


def line_totals(forecasts: pd.DataFrame, past: pd.DataFrame) -> pd.DataFrame:
    """Return the forecasts summed by line and, with several lines, over all: prod_line, year, forecast, model, bands.

    forecasts: as `forecast` returns them, or those of some agencies. past: the forecasts of the same model in the
    backtest, of all agencies. Bands of agencies, lines and total (`ALL_LINES`) come from one joint distribution of
    errors; see `forecast_errors`. Null below three years. Amounts in USD.
    """
    forecasts = forecasts.sort_values(["agency_id", "prod_line"], ignore_index=True)
    errors = error_distribution(past)
    groups = [forecasts["prod_line"]]
    if forecasts["prod_line"].nunique() > 1:
        groups.append(pd.Series(ALL_LINES, index=forecasts.index))
    found = [_sums(forecasts, group, errors) for group in groups]
    return pd.concat(found, ignore_index=True)


def _sums(forecasts: pd.DataFrame, group: pd.Series, errors: ErrorDistribution | None) -> pd.DataFrame:
    sums = forecasts.groupby(group.rename("prod_line")).agg(
        year=("year", "first"), forecast=("forecast", "sum"), model=("model", "first")
    )
    bands = errors.bands_of_sums(forecasts, group) if errors is not None and len(forecasts) else None
    return sums.assign(**dict.fromkeys(BANDS, np.nan) if bands is None else bands).reset_index()
