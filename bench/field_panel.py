"""Rolling origins over the panel of premiums, for the forecasts of comparators; it imports nothing of the project."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd

Forecast = Callable[[pd.DataFrame], pd.DataFrame]
"""Returns unique_id and a column for each model, with -lo-80 and -hi-80 where it has a band, from the past years."""


def measure(folder: Path, forecast: Forecast, fewest_years: int) -> None:
    """Read `panel.csv`; write the forecasts of each of the given years, from the years before it, to `made.csv`.

    A series of fewer than `fewest_years` has no forecast, and a year without a longer one is left out.
    """
    given = json.loads((folder / "given.json").read_text("utf-8"))
    rows = pd.read_csv(folder / "panel.csv").rename(columns={"key": "unique_id", "year": "ds", "premium": "y"})
    parts = []
    for year in given["years"]:
        past = rows[rows["ds"] < year]
        enough = past.groupby("unique_id")["ds"].transform("size") >= fewest_years
        if enough.any():
            parts.append(forecast(past[enough]).assign(year=year))
    made = pd.concat(parts, ignore_index=True).rename(columns={"unique_id": "key"})
    made.drop(columns="ds", errors="ignore").to_csv(folder / "made.csv", index=False)
    (folder / "found.json").write_text("{}", "utf-8")
