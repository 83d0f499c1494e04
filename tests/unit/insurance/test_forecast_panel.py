"""The training panel of the forecast."""

import numpy as np
import pandas as pd
import pytest

from quintet.insurance.forecast_panel import MORE_PREDICTORS, panel


def history(*rows: dict[str, object]) -> pd.DataFrame:
    """Return rows of an agency and line, with default figures where a row has none."""
    plain = {
        "agency_id": 1,
        "prod_line": "PL",
        "months_covered": 12,
        "written_premium": 100.0,
        "annualised_premium": 100.0,
        "prev_written_premium": 100.0,
        "new_business_premium": 10.0,
        "earned_premium": 100.0,
        "incurred_losses": 50.0,
        "policies_in_force": 10.0,
        "prev_policies_in_force": 10.0,
        "retained_policies": 9.0,
    }
    return pd.DataFrame([plain | row for row in rows])


def premium_of(frame: pd.DataFrame, year: int) -> float:
    return float(frame.loc[frame["year"] == year, "premium"].iloc[0])


def test_the_next_premium_is_that_of_the_next_year():
    known = panel(history({"year": 2010}, {"year": 2011, "written_premium": 120.0}))

    assert known["next_premium"].tolist() == pytest.approx([120.0, np.nan], nan_ok=True)


def test_an_agency_without_a_row_in_the_next_year_has_no_premium_in_it():
    known = panel(history({"year": 2010}, {"year": 2010, "agency_id": 2}, {"year": 2011}))

    assert known.loc[known["agency_id"] == 2, "next_premium"].tolist() == [0.0]


def test_a_year_that_is_absent_for_all_is_not_known_rather_than_zero():
    known = panel(history({"year": 2010}, {"year": 2012}))

    assert known["next_premium"].isna().all()


def test_a_short_year_is_complete_where_the_next_year_states_its_total():
    known = panel(
        history(
            {"year": 2005, "months_covered": 8, "written_premium": 60.0},
            {"year": 2006, "prev_written_premium": 95.0},
        )
    )

    assert premium_of(known, 2005) == 95.0
    assert known["is_complete"].tolist() == [False, True]


def test_a_short_year_is_left_out_where_the_next_year_repeats_its_months_only():
    known = panel(
        history(
            {"year": 2005, "months_covered": 8, "written_premium": 60.0},
            {"year": 2006, "prev_written_premium": 60.0},
        )
    )

    assert known["year"].tolist() == [2006]


def test_a_short_year_at_the_end_is_neither_a_premium_nor_an_outcome():
    known = panel(history({"year": 2014}, {"year": 2015, "months_covered": 5, "written_premium": 40.0}))

    assert known["year"].tolist() == [2014]
    assert known["next_premium"].isna().all()


def test_predictors_are_shares_of_the_years_own_figures():
    known = panel(
        history({"year": 2010, "annualised_premium": 130.0, "earned_premium": 80.0, "policies_in_force": 12.0})
    )

    row = known.iloc[0]
    assert row["new_business_share"] == pytest.approx(0.1)
    assert row["earned_gap"] == pytest.approx(-0.2)
    assert row["lost_policy_share"] == pytest.approx(0.1)
    assert row["policy_growth"] == pytest.approx(0.2)
    assert row["annualised_gap"] == pytest.approx(0.3)


@pytest.mark.parametrize("premium", [-50.0, 0.0, 1e-9, 1e12])
def test_predictors_are_finite_whatever_the_premium_and_whatever_is_missing(premium: float):
    unknown = dict.fromkeys(
        ["prev_written_premium", "prev_policies_in_force", "retained_policies", "new_business_premium"], np.nan
    )
    known = panel(history({"year": 2010, "written_premium": premium} | unknown, {"year": 2011}))

    assert np.isfinite(known[MORE_PREDICTORS].to_numpy(float)).all()


def test_the_order_of_rows_does_not_matter():
    rows = history(*({"year": year, "agency_id": agency} for agency in (1, 2, 3) for year in (2009, 2010, 2011)))

    pd.testing.assert_frame_equal(panel(rows), panel(rows.sample(frac=1.0, random_state=1)))


def test_no_rows_give_an_empty_panel():
    assert panel(history({"year": 2010}).iloc[:0]).empty
