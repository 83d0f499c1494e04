"""Estimating a whole year from its first months."""

import numpy as np
import pandas as pd
import pytest

from quintet.insurance.forecast_year_to_date import year_to_date


def months_in(noise: float, cells: int = 200, stated_share: float = 0.4) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A history of five months of 2015, and the forecasts of 2014 made before it, half of them wrong by a third.

    noise: of the months as a share of their year, in logs. stated_share: the share of 2014 that the rows of 2015 state.
    """
    rng = np.random.default_rng(3)
    actual = rng.lognormal(10, 1, cells)
    forecasts = pd.DataFrame(
        {
            "agency_id": np.arange(cells),
            "prod_line": np.where(np.arange(cells) % 2, "CL", "PL"),
            "actual": actual,
            "forecast": actual * np.where(rng.random(cells) < 0.5, 1.0, 1.33),
        }
    )
    history = forecasts[["agency_id", "prod_line"]].assign(
        year=2015,
        months_covered=5,
        written_premium=stated_share * actual * 1.1,
        prev_written_premium=stated_share * actual * np.exp(rng.normal(0, noise, cells)),
    )
    return history, forecasts


def test_informative_months_have_a_weight_and_estimates():
    history, forecasts = months_in(noise=0.01)

    result = year_to_date(history, 2014, forecasts)

    assert result is not None
    assert result.weight > 0.9
    assert result.wape_with < 0.2 * result.wape_without
    expected = forecasts["actual"] * 1.1
    assert result.estimates["estimate"].to_numpy() == pytest.approx(expected.to_numpy(), rel=0.05)


def test_uninformative_months_have_no_weight():
    history, forecasts = months_in(noise=0.01)
    of_others = history["prev_written_premium"].sample(frac=1.0, random_state=1).to_numpy()

    result = year_to_date(history.assign(prev_written_premium=of_others), 2014, forecasts)

    assert result is not None
    assert result.weight == 0


def test_months_cannot_be_judged_where_the_rows_state_the_whole_of_the_year_before():
    assert year_to_date(*_arguments(months_in(noise=0.01, stated_share=1.0))) is None


def test_few_agencies_are_too_few_to_judge():
    assert year_to_date(*_arguments(months_in(noise=0.01, cells=20))) is None


def test_a_whole_year_is_no_year_to_date():
    history, forecasts = months_in(noise=0.01)

    assert year_to_date(history.assign(months_covered=12), 2014, forecasts) is None


def _arguments(made: tuple[pd.DataFrame, pd.DataFrame]) -> tuple[pd.DataFrame, int, pd.DataFrame]:
    return made[0], 2014, made[1]
