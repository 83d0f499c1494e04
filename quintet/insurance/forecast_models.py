"""The candidates: each says by what share an agency and line's premium will grow over the last whole year."""

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
"""In the order in which they are preferred where they are equally good."""

FEWEST_PAIRS = 30
"""Pairs of a year and the next below which nothing but naive is fitted."""

_RIDGE = 0.3
_KEPT_WEIGHT_A_YEAR = 0.8
_LARGEST_GROWTH = 1.0
_SMALLEST_ERROR = 0.02
_ITERATIONS = 40
_SEED = 0


def candidate_forecasts(past: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """The forecasts of next year's written premium, USD, a column a candidate, a row a row of `now`.

    past: rows of the panel whose next premium was known at the origin. now: the rows of the origin's year.
    Columns are those of `CANDIDATES`, or naive alone where `past` has fewer than `FEWEST_PAIRS` rows with a premium
    above zero. Naive is the last whole year as it is; the others expect nothing of an agency and line whose premium is
    zero or below.
    """
    learnable = past[(past["premium"] > 0) & past["next_premium"].notna()]
    naive = pd.DataFrame({NAIVE: now["premium"].astype(float)}, index=now.index)
    if len(learnable) < FEWEST_PAIRS or now.empty:
        return naive
    growth = pd.DataFrame(
        {
            NAIVE: 0.0,
            "line_growth": _linear(learnable, now, LINE_PREDICTORS),
            "linear": _linear(learnable, now, PREDICTORS),
            "boosting": _trees(
                GradientBoostingRegressor(
                    loss="absolute_error",
                    n_estimators=80,
                    max_depth=2,
                    learning_rate=0.05,
                    subsample=0.7,
                    random_state=_SEED,
                ),
                learnable,
                now,
            ),
            "forest": _trees(
                ExtraTreesRegressor(n_estimators=100, min_samples_leaf=10, random_state=_SEED), learnable, now
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
    """By the root of premium: half-way between all agencies alike and every dollar alike."""
    return np.sqrt(past["premium"].to_numpy(float))


def _linear(past: pd.DataFrame, now: pd.DataFrame, predictors: list[str]) -> np.ndarray:
    """Least absolute errors with a ridge towards no growth, by reweighted least squares; later years weigh more."""
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
