"""The figures of the forecast: bands, and the backtest."""

import re
from collections.abc import Callable

import pandas as pd
import pytest

from quintet.insurance import agency_charts, forecast_charts
from quintet.presentation.design import Figure
from tests.unit.insurance.chart_frames import FORECAST, LINES, SCORES, by_line_and_year, data_of, drawn


def test_a_forecast_states_its_band_or_its_absence() -> None:
    figure = forecast_charts.forecast_with_bands(LINES, FORECAST)
    assert figure.alternative == (
        "Forecast: Commercial (CL) 7.60M USD in 2008 (80% between 7.00M and 8.00M); Personal (PL) 10.4M USD in 2008. "
        "Model: naive."
    )
    assert "No band where too few earlier forecasts" in figure.note


def test_the_bands_open_at_the_last_complete_year() -> None:
    later = by_line_and_year(
        {"year": 2006}, {"year": 2007, "written_premium": 7e6}, {"year": 2008, "months_covered": 5}
    )
    fan = [
        row
        for row in data_of(forecast_charts.forecast_with_bands(later, FORECAST))
        if "hi95" in row and "model" not in row
    ]
    assert [(row["year"], row["lo95"], row["hi95"]) for row in fan if row["year"] < 2008] == [(2007, 7e6, 7e6)]


@pytest.mark.parametrize(
    "make", [agency_charts.agency_history, lambda rows: forecast_charts.forecast_with_bands(rows, FORECAST)]
)
def test_nothing_is_drawn_across_a_year_that_is_missing(make: Callable[[pd.DataFrame], Figure]) -> None:
    def pieces(frame: pd.DataFrame) -> int:
        paths = re.findall(r'class="mark-line[^>]*><path[^>]* d="([^"]*)"', drawn(make(frame)))
        return max(path.count("M") for path in paths)

    years = [2001, 2002, 2004, 2005]
    broken = by_line_and_year(*({"year": year} for year in years))
    whole = by_line_and_year(*({"year": year} for year in [*years, 2003]))
    assert (pieces(whole), pieces(broken)) == (1, 2)


def test_the_backtest_explains_the_scores_and_marks_the_model_in_use() -> None:
    figure = forecast_charts.forecast_backtest(SCORES)
    assert figure.alternative == "The forecast is a forest of trees: 14% below the last complete year."
    assert figure.table["label"].tolist()[:2] == ["forest (in use)", "best so far"]
    assert "Best so far" in figure.note
