"""The candidate models: each forecasts the growth of premium of an agency and line over the last complete year."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor

from quintet.insurance.forecast_panel import LINE_PREDICTORS, MORE_PREDICTORS, PREDICTORS

NAIVE = "naive"
COMBINATION = "combination"
COMBINED = [NAIVE, "linear", "forest"]
"""The members of the combination, of equal weight; naive in it shrinks the growth of the others by a third."""
CANDIDATES = [NAIVE, "line_growth", "linear", "boosting", "forest", COMBINATION]
"""In order of preference among equals."""

FEWEST_PAIRS = 30
"""The number of pairs of consecutive years below which only naive is used."""

_RIDGE = 0.3
_KEPT_WEIGHT_A_YEAR = 0.8
_LARGEST_GROWTH = 1.0
_SMALLEST_ERROR = 0.02
_ITERATIONS = 40
_SEED = 0


def candidate_forecasts(past: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Return forecasts of next year's written premium, USD: one column per candidate, one row per row of `now`.

    past: rows of the panel whose next premium was known at the origin. now: the rows of the origin's year.
    Columns: `CANDIDATES`, or naive alone where `past` has fewer than `FEWEST_PAIRS` rows with a premium above zero.
    Naive is the last complete year unchanged; the others forecast zero where the premium is zero or below.
    """
    trainable = past[(past["premium"] > 0) & past["next_premium"].notna()]
    naive = pd.DataFrame({NAIVE: now["premium"].astype(float)}, index=now.index)
    if len(trainable) < FEWEST_PAIRS or now.empty:
        return naive
    growth = pd.DataFrame(
        {
            NAIVE: 0.0,
            "line_growth": _linear(trainable, now, LINE_PREDICTORS),
            "linear": _linear(trainable, now, PREDICTORS),
            "boosting": _trees(
                GradientBoostingRegressor(
                    loss="absolute_error",
                    n_estimators=80,
                    max_depth=2,
                    learning_rate=0.05,
                    subsample=0.7,
                    random_state=_SEED,
                ),
                trainable,
                now,
            ),
            "forest": _trees(
                ExtraTreesRegressor(n_estimators=100, min_samples_leaf=10, random_state=_SEED), trainable, now
            ),
        },
        index=now.index,
    )
    growth[COMBINATION] = growth[COMBINED].mean(axis=1)
    others = [name for name in CANDIDATES if name != NAIVE]
    forecasts = growth[others].clip(lower=-1.0).add(1.0).mul(now["premium"].clip(lower=0.0), axis=0)
    return pd.concat([naive, forecasts], axis=1)


def _growth(past: pd.DataFrame) -> np.ndarray:
    growth = past["next_premium"] / past["premium"] - 1
    return growth.clip(-1.0, _LARGEST_GROWTH).to_numpy(float)


def _weight(past: pd.DataFrame) -> np.ndarray:
    """Return the square root of premium: a compromise between equal agencies and equal dollars."""
    return np.sqrt(past["premium"].to_numpy(float))


def _linear(past: pd.DataFrame, now: pd.DataFrame, predictors: list[str]) -> np.ndarray:
    """Return growth by least absolute errors with a ridge towards no growth; later years weigh more."""
    x, y = past[predictors].to_numpy(float), _growth(past)
    scale = np.sqrt((x**2).mean(axis=0)) + 1e-9
    x = x / scale
    age_years = (past["year"].max() - past["year"]).to_numpy(float)
    weight = _weight(past) * _KEPT_WEIGHT_A_YEAR**age_years
    weight = weight / weight.sum()
    slopes = np.zeros(len(predictors))
    for _ in range(_ITERATIONS):
        reweighted = x * (weight / np.maximum(np.abs(y - x @ slopes), _SMALLEST_ERROR))[:, None]
        slopes = np.linalg.solve(reweighted.T @ x + _RIDGE * np.eye(len(predictors)), reweighted.T @ y)
    return now[predictors].to_numpy(float) / scale @ slopes


def _trees(model: GradientBoostingRegressor | ExtraTreesRegressor, past: pd.DataFrame, now: pd.DataFrame) -> np.ndarray:
    weight = _weight(past)
    fitted = model.fit(past[MORE_PREDICTORS].to_numpy(float), _growth(past), sample_weight=weight / weight.mean())
    return fitted.predict(now[MORE_PREDICTORS].to_numpy(float))
