"""All forecasts are scored on the same rows, and bands on the rows that have one."""

from __future__ import annotations

import pandas as pd
import pytest

from bench.field_forecasts import beside_forecast

OWN = pd.DataFrame(
    {
        "key": ["1CL", "2CL"],
        "year": [2014, 2014],
        "premium": [100.0, 100.0],
        "actual": [110.0, 200.0],
        "forecast": [110.0, 150.0],
        "lo80": [100.0, 120.0],
        "hi80": [120.0, 180.0],
    }
)


def test_a_series_without_a_forecast_repeats_its_last_year() -> None:
    easy_alone = pd.DataFrame({"key": ["1CL"], "year": [2014], "Theta": [110.0]})
    wape, band = beside_forecast("statsforecast", OWN, easy_alone)
    assert (wape.figure, wape.comparator, wape.holds) == ("0.1613", "Theta 0.3226", True)
    assert (band.figure, band.comparator) == ("50%", "no bands")


def test_the_best_of_several_models_counts() -> None:
    made = OWN[["key", "year"]].assign(Theta=[110.0, 100.0], ETS=[110.0, 190.0])
    wape, _ = beside_forecast("statsforecast", OWN, made)
    assert (wape.comparator, wape.holds) == ("Theta 0.3226, ETS 0.0323", False)


def test_a_band_is_judged_where_there_is_one() -> None:
    bands = {"Theta": [110.0, 190.0], "Theta-lo-80": [100.0, None], "Theta-hi-80": [120.0, None]}
    _, band = beside_forecast("statsforecast", OWN, OWN[["key", "year"]].assign(**bands))
    assert band.comparator == "Theta 100%"


def test_a_forecast_given_twice_is_refused() -> None:
    twice = pd.DataFrame({"key": ["1CL", "1CL"], "year": [2014, 2014], "Theta": [110.0, 90.0]})
    with pytest.raises(pd.errors.MergeError):
        beside_forecast("statsforecast", OWN, twice)


def test_a_year_that_a_comparator_cannot_forecast_counts_for_neither() -> None:
    worse_before = pd.concat([OWN, OWN.assign(year=2013, forecast=0.0)])
    made = OWN[["key", "year"]].assign(Theta=[110.0, 100.0])
    assert beside_forecast("statsforecast", worse_before, made) == beside_forecast("statsforecast", OWN, made)
