"""Score the forecasts of the project and of comparators on the same rows."""

from __future__ import annotations

import pandas as pd

from bench.measure import Line


def beside_forecast(name: str, own: pd.DataFrame, made: pd.DataFrame) -> list[Line]:
    """Return the rows of the table, with all forecasts scored on the rows of `own`.

    own: key, year, premium of the year before, actual, forecast, lo80, hi80. made: key, year, and a column for each
    model and each end of its band; a series without a forecast repeats the year before, and a year without any is left
    out.
    """
    rows = own[own["year"].isin(made["year"])].merge(
        made, on=["key", "year"], how="left", validate="one_to_one", suffixes=("", "_theirs")
    )
    models = [column for column in made if column not in ("key", "year") and not column.endswith("-80")]
    errors = {model: wape(rows, rows[model].fillna(rows["premium"])) for model in models}
    banded = [model for model in models if f"{model}-lo-80" in made]
    held = {model: _share_held(rows, f"{model}-lo-80", f"{model}-hi-80") for model in banded}
    mine, mine_held = wape(rows, rows["forecast"]), _share_held(rows, "lo80", "hi80")
    return [
        Line(
            f"forecast: WAPE of {len(rows):,} forecasts, beside {name}",
            f"{mine:.4f}",
            "as good as the best comparator",
            mine <= min(errors.values()) * 1.01,
            ", ".join(f"{model} {value:.4f}" for model, value in errors.items()),
        ),
        Line(
            f"forecast: share held by the 80% band, beside {name}",
            f"{mine_held:.0%}",
            "74% to 86%",
            0.74 <= mine_held <= 0.86,
            ", ".join(f"{model} {value:.0%}" for model, value in held.items()) or "no bands",
        ),
    ]


def wape(rows: pd.DataFrame, forecasts: pd.Series) -> float:
    """Return the sum of absolute errors divided by the sum of absolute actual values."""
    return float((forecasts - rows["actual"]).abs().sum() / rows["actual"].abs().sum())


def _share_held(rows: pd.DataFrame, low: str, high: str) -> float:
    """Return the share of actual values within a band, of the rows that have one."""
    banded = rows.dropna(subset=[low])
    return float(banded["actual"].between(banded[low], banded[high]).mean())
