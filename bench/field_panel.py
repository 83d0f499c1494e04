"""Rolling origins over the panel of premiums, for the forecasts of comparators; it imports nothing of the project."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd

FEWEST_YEARS = 4

Forecast = Callable[[pd.DataFrame], pd.DataFrame]
"""Returns unique_id and a column for each model, with -lo-80 and -hi-80 where it has a band, from the past years."""


def measure(folder: Path, forecast: Forecast) -> None:
    """Read `panel.csv`; write WAPE and the share held by 80% bands of each model, over the same years, to `found.json`.

    A series of fewer years than a model needs is left to its last year and counts in the error, but has no band.
    """
    given = json.loads((folder / "given.json").read_text("utf-8"))
    years = given["years"][-1:] if given["last_only"] else given["years"]
    rows = pd.read_csv(folder / "panel.csv").rename(columns={"key": "unique_id", "year": "ds", "premium": "y"})
    parts, names = [], []
    for year in years:
        past, now = rows[rows["ds"] < year], rows[rows["ds"] == year]
        alive = past[(past["ds"] == year - 1) & (past["y"].abs() >= 0.01)]
        enough = past.groupby("unique_id")["ds"].transform("size") >= FEWEST_YEARS
        made = forecast(past[enough])
        names = [name for name in made if name not in ("unique_id", "ds") and not name.endswith("-80")]
        joined = (
            alive[["unique_id", "y"]]
            .rename(columns={"y": "last"})
            .merge(now[["unique_id", "y"]], on="unique_id", how="left")
        )
        parts.append(joined.fillna({"y": 0.0}).merge(made, on="unique_id", how="left"))
    every = pd.concat(parts, ignore_index=True)
    size = every["y"].abs().sum()
    wape, held = {}, {}
    for name in names:
        wape[name] = float((every[name].fillna(every["last"]) - every["y"]).abs().sum() / size)
        if f"{name}-lo-80" in every:
            known = every.dropna(subset=[f"{name}-lo-80"])
            held[name] = float(known["y"].between(known[f"{name}-lo-80"], known[f"{name}-hi-80"]).mean())
    (folder / "found.json").write_text(json.dumps({"years": years, "wape": wape, "coverage80": held}), "utf-8")
