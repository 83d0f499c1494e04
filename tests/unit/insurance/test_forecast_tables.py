"""The forecast as tables, and the sums by line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from quintet.insurance.forecast_tables import line_totals

RNG = np.random.default_rng(7)


def forecasts(amounts: dict[tuple[int, str], float]) -> pd.DataFrame:
    rows = [
        {"agency_id": agency, "prod_line": line, "year": 2015, "forecast": amount, "model": "naive"}
        for (agency, line), amount in amounts.items()
    ]
    return pd.DataFrame(rows, columns=["agency_id", "prod_line", "year", "forecast", "model"])


def backtest(errors: dict[int, float], line: str = "CL", model: str = "naive") -> pd.DataFrame:
    rows = [
        {"model": model, "year": year, "agency_id": 1, "prod_line": line, "actual": 100 + 100 * error}
        for year, error in errors.items()
    ]
    columns = ["model", "year", "agency_id", "prod_line", "actual"]
    return pd.DataFrame(rows, columns=columns).astype({"actual": float}).assign(forecast=100.0)


def test_a_line_is_the_sum_of_its_agencies() -> None:
    totals = line_totals(forecasts({(1, "CL"): 10.0, (2, "CL"): 20.0, (1, "PL"): 5.0}), backtest({}))

    assert dict(zip(totals["prod_line"], totals["forecast"], strict=True)) == {"CL": 30.0, "PL": 5.0}


def test_the_band_of_a_sum_grows_with_past_errors_and_its_level() -> None:
    now = forecasts({(1, "CL"): 100.0})
    small = line_totals(now, backtest({2010: 0.01, 2011: -0.01, 2012: 0.01})).iloc[0]
    large = line_totals(now, backtest({2010: 0.10, 2011: -0.10, 2012: 0.10})).iloc[0]

    assert large["lo95"] < large["lo80"] < small["lo80"] < 100 < small["hi80"] < large["hi80"] < large["hi95"]


def test_the_band_of_a_sum_covers_its_level() -> None:
    errors = {f"L{line}": RNG.normal(0, 0.05, 7) for line in range(2_000)}
    past = pd.concat([backtest(dict(enumerate(each[:6])), line) for line, each in errors.items()])
    totals = (
        line_totals(forecasts({(1, line): 100.0 for line in errors}), past).set_index("prod_line").loc[list(errors)]
    )
    actual = pd.Series({line: 100 * (1 + each[6]) for line, each in errors.items()})

    assert actual.between(totals["lo80"], totals["hi80"]).mean() == pytest.approx(0.80, abs=0.03)


def test_without_three_years_or_of_another_model_there_is_no_band() -> None:
    now = forecasts({(1, "CL"): 100.0})
    for past in (backtest({2010: 0.1, 2011: 0.1}), backtest(dict.fromkeys(range(9), 0.1), model="linear")):
        total = line_totals(now, past).iloc[0]
        assert total["forecast"] == 100.0
        assert np.isnan(total[["lo80", "hi80", "lo95", "hi95"]].astype(float)).all()


def test_no_forecasts_have_no_totals() -> None:
    assert line_totals(forecasts({}), backtest({})).empty
