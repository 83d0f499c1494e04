"""The rolling origin, the bands, the choice and the scores."""

import numpy as np
import pandas as pd
import pytest

from quintet.insurance.forecast_backtest import (
    BEST_SO_FAR,
    WARM_UP_YEARS,
    backtest,
    bands,
    choose,
    rolling_forecasts,
    score,
)
from quintet.insurance.forecast_errors import BANDS
from quintet.insurance.forecast_models import CANDIDATES, NAIVE
from quintet.insurance.forecast_panel import MORE_PREDICTORS

_YEARS = range(2006, 2014)


def random_panel(agencies: int = 40, seed: int = 1) -> pd.DataFrame:
    """Agencies whose premium walks at random over the years."""
    rng = np.random.default_rng(seed)
    cells = pd.MultiIndex.from_product(
        [_YEARS, range(agencies), ["CL", "PL"]], names=["year", "agency_id", "prod_line"]
    )
    walk = rng.normal(0, 0.2, (len(_YEARS), agencies * 2)).cumsum(axis=0)
    premium = pd.Series(np.exp(11 + walk).ravel(), index=cells, name="premium")
    frame = premium.reset_index().assign(is_complete=True)
    frame["next_premium"] = frame.groupby(["agency_id", "prod_line"])["premium"].shift(-1)
    predictors = dict.fromkeys(MORE_PREDICTORS, 0.0) | {"new_business_share": rng.uniform(0, 0.3, len(frame))}
    return frame.assign(**predictors)


def rolled(**error_by_candidate: float) -> pd.DataFrame:
    """Five target years of a cell each; every candidate misses 100 by its error, ten where it is not named."""
    return pd.DataFrame(
        [
            {
                "model": name,
                "origin_year": year - 1,
                "year": year,
                "agency_id": 1,
                "prod_line": "PL",
                "premium": 90.0,
                "actual": 100.0,
                "forecast": 100.0 - error_by_candidate.get(name, 10.0),
            }
            for name in CANDIDATES
            for year in range(2007, 2012)
        ]
    )


def test_a_forecast_does_not_change_with_what_came_after_its_origin():
    known = random_panel()
    until = known[known["year"] <= 2010].copy()
    until.loc[until["year"] == 2010, "next_premium"] = np.nan
    later = known.copy()
    later.loc[later["year"] > 2010, "premium"] *= 7
    later.loc[later["year"] >= 2010, "next_premium"] *= 7

    of_2010 = [frame[frame["origin_year"] < 2010] for frame in map(rolling_forecasts, (until, later))]

    pd.testing.assert_frame_equal(of_2010[0].reset_index(drop=True), of_2010[1].reset_index(drop=True))


def test_bands_and_choice_of_a_year_do_not_change_with_its_outcome():
    before = rolling_forecasts(random_panel())
    after = before.assign(actual=before["actual"].where(before["year"] < 2013, 0.0))

    kept = [backtest(frame)[["model", "year", "forecast", *BANDS]] for frame in (before, after)]

    pd.testing.assert_frame_equal(*kept)


def test_every_whole_year_that_a_whole_year_follows_is_an_origin():
    known = random_panel()

    origins = rolling_forecasts(known[known["year"] != 2009])["origin_year"].unique()

    assert origins.tolist() == [2006, 2007, 2010, 2011, 2012]


def test_the_first_target_years_are_not_scored():
    tested = backtest(rolling_forecasts(random_panel()))

    models, years = score(tested, NAIVE)
    first = min(_YEARS) + 1 + WARM_UP_YEARS
    assert tested.loc[tested[BANDS].notna().all(axis=1), "year"].min() == first
    assert tested.loc[tested["year"] >= first, BANDS].notna().all(axis=None)
    assert years["year"].min() == first
    assert models.set_index("model").loc[NAIVE, "n"] == (tested["model"].eq(NAIVE) & (tested["year"] >= first)).sum()


def test_the_candidate_of_the_least_error_is_chosen():
    assert choose(rolled(linear=5.0)) == "linear"


def test_naive_is_chosen_where_the_gain_is_too_small():
    assert choose(rolled(linear=9.95)) == NAIVE


def test_naive_is_chosen_where_only_one_year_favours_another():
    years = rolled(linear=5.0)

    assert choose(years[(years["year"] == 2007)]) == NAIVE
    assert choose(years[(years["year"] <= 2008)]) == "linear"


def test_best_so_far_is_the_choice_of_the_years_before():
    years = rolled(linear=5.0)
    turned = years.assign(
        forecast=years["forecast"].mask((years["model"] == "linear") & (years["year"] >= 2010), -1_000.0)
    )

    tested = backtest(turned)
    followed = tested[tested["model"] == BEST_SO_FAR].set_index("year")["forecast"]

    assert followed.to_dict() == {2009: 95.0, 2010: -1_000.0, 2011: 90.0}


def test_without_a_past_there_is_no_band():
    now = pd.DataFrame({"premium": [1.0], "forecast": [1.0]})

    assert bands(now.assign(actual=1.0).iloc[:0], now).isna().all(axis=None)


def test_scores_are_sums_by_sums_and_relative_to_naive():
    tested = backtest(rolled(linear=5.0, forest=-20.0))

    models, years = score(tested, "linear")
    by_model = models.set_index("model")

    assert by_model.loc["linear", ["wape", "wape_vs_naive", "bias", "n"]].tolist() == pytest.approx(
        [0.05, -0.5, -0.05, 3]
    )
    assert by_model.loc["forest", ["wape", "wape_vs_naive", "bias"]].tolist() == pytest.approx([0.2, 1.0, 0.2])
    assert by_model.loc[by_model["is_chosen"]].index.tolist() == ["linear"]
    assert years.loc[years["model"] == "linear", "year"].tolist() == [2009, 2010, 2011]


def test_candidates_without_a_scored_year_have_no_scores():
    models, years = score(backtest(rolled().iloc[:0]), NAIVE)

    assert models["n"].eq(0).all()
    assert models["wape"].isna().all()
    assert years.empty
