"""Forecast premium with statsforecast, in its own environment; `python field_forecast.py FOLDER`."""

import sys
from pathlib import Path

import pandas as pd
from field_panel import measure
from statsforecast import StatsForecast
from statsforecast.models import AutoETS, DynamicOptimizedTheta, RandomWalkWithDrift


def forecast(past: pd.DataFrame) -> pd.DataFrame:
    """Return the next year of each series by three models, with their 80% bands."""
    models = [AutoETS(season_length=1, model="ANN"), RandomWalkWithDrift(), DynamicOptimizedTheta()]
    return StatsForecast(models=models, freq=1).forecast(df=past[["unique_id", "ds", "y"]], h=1, level=[80])


if __name__ == "__main__":
    measure(Path(sys.argv[1]), forecast, 7)  # exponential smoothing refuses fewer
