"""A run fits the candidates again only at the years whose data or code have changed, with the same result."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pandas as pd
import pytest

from quintet.insurance import kept_forecasts
from quintet.insurance.forecast_backtest import empty_forecasts, rolling_forecasts
from quintet.insurance.kept_forecasts import KeptForecasts

PANEL = pd.DataFrame(
    {
        "year": [2010, 2011, 2012, 2013],
        "agency_id": 1,
        "prod_line": "CL",
        "premium": [100.0, 1 / 3, np.nan, 400.0],
        "next_premium": [1 / 3, np.nan, 400.0, np.nan],
        "is_complete": True,
    }
)


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The years at which candidates were fitted."""
    years: list[int] = []

    def forecasts_at(panel: pd.DataFrame, origin: int) -> pd.DataFrame:
        years.append(origin)
        now = panel[panel["year"] == origin].assign(model="naive", origin_year=origin, year=origin + 1)
        now = now.assign(actual=now["next_premium"], forecast=now["premium"])
        return now[list(empty_forecasts())].reset_index(drop=True)

    monkeypatch.setattr(kept_forecasts, "forecasts_at", forecasts_at)
    return years


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("create schema ops")
        yield connection


def run(connection: duckdb.DuckDBPyConnection, panel: pd.DataFrame) -> pd.DataFrame:
    kept = KeptForecasts.read(connection)
    rolled = rolling_forecasts(panel, kept.at)
    kept.write(connection)
    return rolled


def test_nothing_is_fitted_again_and_the_forecasts_are_the_same(
    warehouse: duckdb.DuckDBPyConnection, fitted: list[int]
) -> None:
    first = run(warehouse, PANEL)
    assert fitted == [2010, 2011, 2012]
    for _ in range(2):  # what was read is kept, too
        pd.testing.assert_frame_equal(run(warehouse, PANEL), first)
    assert fitted == [2010, 2011, 2012]


@pytest.mark.parametrize(
    ("year", "column", "value", "again"), [(2012, "premium", 5.0, [2012]), (2010, "agency_id", 2, [2010, 2011, 2012])]
)
def test_a_change_of_a_year_fits_it_and_the_years_after_it_again(
    warehouse: duckdb.DuckDBPyConnection, fitted: list[int], year: int, column: str, value: float, again: list[int]
) -> None:
    run(warehouse, PANEL)
    fitted.clear()
    changed = PANEL.copy()
    changed.loc[changed["year"] == year, column] = value
    assert run(warehouse, changed)[column].isin([value]).any()
    assert fitted == again


def test_other_code_fits_everything_again(
    warehouse: duckdb.DuckDBPyConnection, fitted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(warehouse, PANEL)
    fitted.clear()
    monkeypatch.setattr(kept_forecasts, "code_version", lambda _: "of another release")
    run(warehouse, PANEL)
    assert fitted == [2010, 2011, 2012]


def test_forecasts_of_years_that_are_gone_are_removed(warehouse: duckdb.DuckDBPyConnection, fitted: list[int]) -> None:
    run(warehouse, PANEL)
    run(warehouse, PANEL.iloc[:0])
    assert run(warehouse, PANEL)["origin_year"].tolist() == [2010, 2011, 2012]
    assert fitted == [2010, 2011, 2012] * 2
