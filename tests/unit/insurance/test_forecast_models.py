"""The candidates at one origin."""

import numpy as np
import pandas as pd
import pytest

from quintet.insurance.forecast_models import CANDIDATES, COMBINED, FEWEST_PAIRS, NAIVE, candidate_forecasts
from quintet.insurance.forecast_panel import MORE_PREDICTORS


def pairs(count: int, growth_by_new_business: float, seed: int = 1) -> pd.DataFrame:
    """Years whose growth follows the share of new business, with a little noise."""
    rng = np.random.default_rng(seed)
    predictors = pd.DataFrame(0.0, index=range(count), columns=MORE_PREDICTORS)
    predictors["is_commercial"] = np.arange(count) % 2
    predictors["is_other_line"] = 1 - predictors["is_commercial"]
    predictors["new_business_share"] = rng.uniform(0, 0.5, count)
    premium = rng.lognormal(11, 1, count)
    growth = growth_by_new_business * (predictors["new_business_share"] - 0.25) + rng.normal(0, 0.01, count)
    frame = predictors.assign(year=2000 + np.arange(count) % 5, premium=premium, next_premium=premium * (1 + growth))
    return frame.assign(log_premium=np.log10(premium))


def wape(forecast: pd.Series, actual: pd.Series) -> float:
    return float((forecast - actual).abs().sum() / actual.abs().sum())


@pytest.mark.parametrize("name", [name for name in CANDIDATES if name not in (NAIVE, "line_growth")])
def test_a_pattern_in_the_data_is_fitted(name: str):
    past, now = pairs(600, growth_by_new_business=1.0), pairs(200, growth_by_new_business=1.0, seed=2)

    forecasts = candidate_forecasts(past, now)

    assert wape(forecasts[name], now["next_premium"]) < 0.7 * wape(forecasts[NAIVE], now["next_premium"])


def test_without_a_pattern_the_linear_model_repeats_the_last_year():
    past, now = pairs(600, growth_by_new_business=0.0), pairs(200, growth_by_new_business=0.0, seed=2)

    assert candidate_forecasts(past, now)["linear"].to_numpy() == pytest.approx(now["premium"].to_numpy(), rel=0.01)


def test_one_outlier_hardly_moves_the_linear_model():
    past, now = pairs(600, growth_by_new_business=1.0), pairs(200, growth_by_new_business=1.0, seed=2)
    spoilt = past.copy()
    spoilt.loc[spoilt["premium"].idxmax(), "next_premium"] *= 1_000

    moved = candidate_forecasts(spoilt, now)["linear"] / candidate_forecasts(past, now)["linear"]

    assert moved.between(0.99, 1.01).all()


def test_the_combination_is_the_mean_of_its_members():
    past, now = pairs(100, growth_by_new_business=1.0), pairs(50, growth_by_new_business=1.0, seed=2)

    forecasts = candidate_forecasts(past, now)

    assert forecasts["combination"].to_numpy() == pytest.approx(forecasts[COMBINED].mean(axis=1).to_numpy())


def test_naive_keeps_a_negative_premium_and_the_others_forecast_zero():
    past = pairs(100, growth_by_new_business=1.0)
    now = pairs(3, growth_by_new_business=1.0).assign(premium=[-10.0, 0.0, 10.0])

    forecasts = candidate_forecasts(past, now)

    assert forecasts[NAIVE].tolist() == [-10.0, 0.0, 10.0]
    assert (forecasts.drop(columns=NAIVE).iloc[:2] == 0).all(axis=None)


@pytest.mark.parametrize(("count", "names"), [(FEWEST_PAIRS - 1, [NAIVE]), (FEWEST_PAIRS, CANDIDATES)])
def test_too_few_pairs_leave_naive_alone(count: int, names: list[str]):
    forecasts = candidate_forecasts(pairs(count, growth_by_new_business=1.0), pairs(5, growth_by_new_business=1.0))

    assert forecasts.columns.tolist() == names


def test_the_same_data_give_the_same_forecasts():
    past, now = pairs(100, growth_by_new_business=1.0), pairs(50, growth_by_new_business=1.0, seed=2)

    pd.testing.assert_frame_equal(candidate_forecasts(past, now), candidate_forecasts(past, now))
