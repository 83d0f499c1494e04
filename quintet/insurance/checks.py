"""Checks of the tables of insurance after a build."""

from __future__ import annotations

import duckdb
import numpy as np

from quintet.ingest.checks import CheckOutcome
from quintet.ingest.conservation import Path, rows_are_kept
from quintet.insurance.forecast_errors import LEVELS
from quintet.ml.statistics import wilson

_PATHS = (
    Path(
        "agency_performance",
        "staging.stg_agency_performance",
        "intermediate.int_agency_performance_current",
        "marts.fct_agency_performance",
    ),
)

_LARGEST_GAP = 0.05
"""How far a band may miss its level before chance counts."""


def rows_kept(connection: duckdb.DuckDBPyConnection) -> CheckOutcome:
    """Check that no row of the files is lost."""
    return rows_are_kept(connection, _PATHS)


def forecast_coverage(connection: duckdb.DuckDBPyConnection) -> CheckOutcome:
    """Check that the chosen model's bands held as many past outcomes as they promise, by line and within chance."""
    row = connection.execute(
        f"select model, n, {', '.join(f'coverage{level}' for level in LEVELS)} "
        "from ml.premium_forecast_scores where is_chosen and year is null"
    ).fetchone()
    if row is None or not row[1]:
        return CheckOutcome(True, "there are too few years for a backtest", {"forecasts": 0})
    model, n, *coverages = row
    held = ", ".join(f"avg((actual between lo{level} and hi{level})::int)" for level in LEVELS)
    by_line = connection.execute(
        f"select 'line ' || prod_line, count(*), {held} from ml.premium_forecast_backtest "
        "where model = $model and lo80 is not null group by prod_line order by prod_line",
        {"model": model},
    ).fetchall()
    off: list[str] = []
    figures: dict[str, int | str] = {"model": str(model), "forecasts": int(n)}
    for part, rows, *shares in [("all lines", n, *coverages), *by_line]:
        for level, coverage in zip(LEVELS, shares, strict=True):
            figures[f"coverage of the {level}% band, {part}"] = f"{coverage:.3f}"
            low, high = (float(end[0]) for end in wilson(np.array([coverage * rows]), np.array([rows])))
            if not low - _LARGEST_GAP <= level / 100 <= high + _LARGEST_GAP:
                off.append(f"the {level}% band held {coverage:.0%} of {rows:,} past outcomes ({part})")
    return CheckOutcome(not off, "; ".join(off) or f"the bands of {model} held what they promise", figures)
