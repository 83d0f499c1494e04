"""The forecast of next year's premium of each agency and line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quintet.insurance.forecast import FORECAST_COLUMNS, Forecast, describe, forecast
from quintet.insurance.forecast_backtest import BEST_SO_FAR, coverage_by_line
from quintet.insurance.forecast_errors import BANDS
from quintet.insurance.forecast_models import NAIVE
from quintet.warehouse.snapshot import open_snapshot
from tests.dbt_models import compiled


def made_history(agencies: int = 40, lead: float = 0.8, seed: int = 1) -> pd.DataFrame:
    """Complete years 2006 to 2014: policies lead premium by a year with the strength `lead`, plus noise."""
    rng = np.random.default_rng(seed)
    years, cells = np.arange(2006, 2015), agencies * 2
    policies_growth = rng.normal(0, 0.15, (len(years), cells))
    led = np.vstack([np.zeros(cells), lead * policies_growth[:-1]])
    premium = np.exp(rng.normal(11, 1, cells) + np.cumsum(led + rng.normal(0, 0.05, led.shape), axis=0))
    frame = pd.DataFrame(
        {
            "agency_id": np.tile(np.arange(cells) // 2, len(years)),
            "prod_line": np.tile(np.where(np.arange(cells) % 2, "PL", "CL"), len(years)),
            "year": np.repeat(years, cells),
            "months_covered": 12,
            "written_premium": premium.ravel(),
            "policies_in_force": (100 * (1 + policies_growth)).ravel(),
            "prev_policies_in_force": 100.0,
            "retained_policies": 90.0,
            "new_business_premium": 0.1 * premium.ravel(),
        }
    )
    before = frame.groupby(["agency_id", "prod_line"])["written_premium"].shift()
    same = dict.fromkeys(["annualised_premium", "earned_premium", "incurred_losses"], frame["written_premium"])
    return frame.assign(prev_written_premium=before, **same)


@pytest.fixture(scope="module")
def led() -> Forecast:
    return forecast(made_history())


def test_a_history_without_rows_gives_empty_frames_and_a_note():
    result = forecast(made_history().head(0))

    assert result.forecasts.empty
    assert result.backtest.empty
    assert result.models["is_chosen"].sum() == 1
    assert describe(result) == "There is no complete year with premium to forecast from."


def test_each_agency_and_line_that_wrote_anything_last_year_has_one_forecast_of_the_next():
    history = made_history()
    silent = (history["agency_id"] == 0) & (history["year"] == 2014)
    gone = (history["agency_id"] == 1) & (history["year"] == 2014)
    rows = forecast(history.assign(written_premium=history["written_premium"].mask(silent, 0.0))[~gone]).forecasts

    assert rows.columns.tolist() == FORECAST_COLUMNS
    assert sorted(rows["agency_id"].unique()) == list(range(2, 40))
    assert not rows.duplicated(["agency_id", "prod_line"]).any()
    assert rows["year"].unique().tolist() == [2015]
    assert not rows.isna().any(axis=None)


def test_a_model_is_used_where_policies_lead_premium(led: Forecast):
    models = led.models.set_index("model")

    assert led.forecasts["model"].unique().tolist() == models.index[models["is_chosen"]].tolist()
    assert models.loc[models["is_chosen"], "wape_vs_naive"].item() < -0.2
    assert models.loc[BEST_SO_FAR, "wape_vs_naive"] < -0.2
    assert describe(led).endswith("of the outcomes.")
    assert "below the" in describe(led)


def test_naive_is_used_where_nothing_leads_premium():
    result = forecast(made_history(lead=0.0))

    assert result.forecasts["model"].unique().tolist() == [NAIVE]
    assert "the last complete year, unchanged: no other model has forecast better" in describe(result)


def test_a_forecast_is_the_backtests_of_its_origin(led: Forecast):
    history = made_history()
    then = forecast(history[history["year"] <= 2012])

    chosen = then.forecasts["model"].iloc[0]
    rows = led.backtest[(led.backtest["model"] == chosen) & (led.backtest["origin_year"] == 2012)]
    pd.testing.assert_frame_equal(
        then.forecasts[FORECAST_COLUMNS], rows[FORECAST_COLUMNS].reset_index(drop=True), check_dtype=False
    )


def test_bands_cover_about_their_share_of_the_outcomes(led: Forecast):
    models = led.models.set_index("model")

    assert 0.74 <= models.loc[BEST_SO_FAR, "coverage80"] <= 0.86
    assert 0.91 <= models.loc[BEST_SO_FAR, "coverage95"] <= 0.99


def test_informative_months_move_the_forecast_and_its_bands_alike(led: Forecast):
    history = made_history()
    premium = history[history["year"] == 2014]
    months = premium.assign(
        year=2015,
        months_covered=5,
        written_premium=0.4 * premium["written_premium"] * 1.5,
        prev_written_premium=0.4 * premium["written_premium"],
    )
    before, after = led, forecast(pd.concat([history, months]))

    assert after.year_to_date is not None
    assert after.year_to_date.weight > 0
    assert (after.forecasts["forecast"] > before.forecasts["forecast"]).mean() > 0.9
    widths = [frame["hi80"] - frame["lo80"] for frame in (before.forecasts, after.forecasts)]
    assert widths[1].to_numpy() == pytest.approx(widths[0].to_numpy())
    assert [frame["origin_year"].unique().tolist() for frame in (before.forecasts, after.forecasts)] == [[2014], [2015]]
    assert "the first 5 months of 2015 have a weight of" in describe(after)
    pd.testing.assert_frame_equal(before.backtest, after.backtest)


@pytest.mark.parametrize(
    ("years", "bands_known"), [(range(2014, 2015), False), (range(2013, 2015), True), (range(2012, 2015), True)]
)
def test_few_years_give_the_last_one_and_say_so(years: range, bands_known: bool):
    history = made_history()

    result = forecast(history[history["year"].isin(years)])

    assert result.forecasts["model"].unique().tolist() == [NAIVE]
    assert result.forecasts[BANDS].notna().all(axis=None) == bands_known
    assert "too few complete years" in describe(result)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_whatever_the_premiums_each_forecast_is_finite_and_within_its_bands(data: st.DataObject):
    history = made_history(agencies=4)
    amounts = st.one_of(st.just(0.0), st.floats(-1e6, 1e7), st.floats(-1.0, 1.0))
    premium = data.draw(st.lists(amounts, min_size=len(history), max_size=len(history)))
    kept = data.draw(st.lists(st.booleans(), min_size=len(history), max_size=len(history)))

    rows = forecast(history.assign(written_premium=premium)[kept]).forecasts

    assert np.isfinite(rows["forecast"]).all()
    banded = rows.dropna(subset=BANDS)
    assert banded["forecast"].between(banded["lo80"], banded["hi80"]).all()
    assert (banded["lo95"] <= banded["lo80"]).all()
    assert (banded["hi80"] <= banded["hi95"]).all()


@pytest.mark.real_data
def test_on_the_real_files_the_error_is_five_percent_below_naive_and_the_band_holds(real):
    with open_snapshot(real.snapshot) as snapshot:
        given = {"int_agency_performance_current": "marts.fct_agency_performance", "int_years": "marts.dim_year"}
        result = forecast(snapshot.execute(compiled("int_premium_history", given)).df())

    models = result.models.set_index("model")
    assert (result.years["year"].min(), result.years["year"].max()) == (2009, 2014)
    naive_by_year = result.years.loc[result.years["model"] == NAIVE, "wape"]
    assert naive_by_year.between(0.11, 0.17).all()
    for name in (BEST_SO_FAR, models.index[models["is_chosen"]].item()):
        assert models.loc[name, "wape_vs_naive"] <= -0.05
        assert 0.74 <= models.loc[name, "coverage80"] <= 0.86
        assert coverage_by_line(result.backtest, name)["coverage80"].between(0.74, 0.86).all()
    assert result.forecasts["year"].unique().tolist() == [2015]
