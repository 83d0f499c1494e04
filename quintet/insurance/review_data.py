"""The rows behind the review of insurance, from a snapshot."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pandas as pd


@dataclass(frozen=True)
class ReviewData:
    """The sums by year, the premium of agencies in complete years, their segments, the forecast and its backtest."""

    years: pd.DataFrame
    agencies: pd.DataFrame
    segments: pd.DataFrame
    forecast: pd.DataFrame
    backtest: pd.DataFrame


def read_review(snapshot: duckdb.DuckDBPyConnection) -> ReviewData:
    """Read the rows of a snapshot."""
    years = snapshot.execute("""
        select
            year, label, is_complete,
            sum(written_premium) as premium, sum(incurred_losses) as losses,
            sum(loss_ratio_numerator) as loss_above, sum(loss_ratio_denominator) as loss_below,
            sum(retention_ratio_numerator) as kept_above, sum(retention_ratio_denominator) as kept_below
        from marts.agg_premium_by_agency_line_year join marts.dim_year using (year)
        group by all order by year
    """).df()
    agencies = snapshot.execute("""
        select agency_id, year, sum(written_premium) as premium
        from marts.agg_premium_by_agency_line_year join marts.dim_year using (year)
        where is_complete group by all order by all
    """).df()
    segments = snapshot.execute("from marts.dim_agency_segment order by agency_id").df()
    forecast = snapshot.execute("from marts.fct_premium_forecast order by agency_id, prod_line").df()
    backtest = snapshot.execute("""
        select year, sum(forecast) as forecast, sum(actual) as actual
        from marts.fct_premium_forecast_backtest
        where model = (select any_value(model) from marts.fct_premium_forecast)
        group by year order by year
    """).df()
    money = ["premium", "losses", "loss_above", "loss_below", "kept_above", "kept_below"]
    years, agencies = years.astype(dict.fromkeys(money, float)), agencies.astype({"premium": float})
    return ReviewData(years, agencies, segments, forecast, backtest)
