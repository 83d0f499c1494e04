"""The sums of the forecast by line and over all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from quintet.insurance.forecast_errors import BANDS
from quintet.insurance.forecast_tables import ALL_LINES, line_totals


def forecasts(amounts: dict[tuple[int, str], float]) -> pd.DataFrame:
    rows = [
        {"agency_id": agency, "prod_line": line, "year": 2015, "premium": 100.0, "forecast": amount, "model": "naive"}
        for (agency, line), amount in amounts.items()
    ]
    return pd.DataFrame(rows, columns=["agency_id", "prod_line", "year", "premium", "forecast", "model"])


def past(errors: dict[int, float], line: str = "CL") -> pd.DataFrame:
    rows = [
        {"year": year, "prod_line": line, "premium": 100.0, "actual": 100 + 100 * error, "forecast": 100.0}
        for year, error in errors.items()
    ]
    return pd.DataFrame(rows, columns=["year", "prod_line", "premium", "actual", "forecast"])


def test_lines_are_the_sums_of_their_agencies_and_the_total_that_of_the_lines() -> None:
    totals = line_totals(forecasts({(1, "CL"): 10.0, (2, "CL"): 20.0, (1, "PL"): 5.0}), past({}))

    assert dict(zip(totals["prod_line"], totals["forecast"], strict=True)) == {"CL": 30.0, "PL": 5.0, ALL_LINES: 35.0}


def test_one_line_needs_no_total() -> None:
    assert line_totals(forecasts({(1, "CL"): 10.0}), past({}))["prod_line"].tolist() == ["CL"]


def test_the_band_of_a_sum_grows_with_past_errors_and_its_level() -> None:
    now = forecasts({(1, "CL"): 100.0})
    small = line_totals(now, past({2010: 0.01, 2011: -0.01, 2012: 0.01})).iloc[0]
    large = line_totals(now, past({2010: 0.10, 2011: -0.10, 2012: 0.10})).iloc[0]

    assert large["lo95"] < large["lo80"] < small["lo80"] < 100 < small["hi80"] < large["hi80"] < large["hi95"]


@pytest.mark.parametrize("errors", [{}, {2010: 0.1, 2011: 0.1}])
def test_below_three_years_a_sum_has_no_band(errors: dict[int, float]) -> None:
    total = line_totals(forecasts({(1, "CL"): 100.0}), past(errors)).iloc[0]

    assert total["forecast"] == 100.0
    assert np.isnan(total[BANDS].astype(float)).all()


def test_no_forecasts_have_no_totals() -> None:
    assert line_totals(forecasts({}), past({})).empty
