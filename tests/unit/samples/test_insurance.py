"""Agency performance has consistent sentinels, sums and ratios."""

import numpy as np
import pandas as pd
import pytest

from quintet.samples.insurance import AgenciesWorld, make_sample

GRAIN = ["AGENCY_ID", "PROD_ABBR", "STATE_ABBR", "STAT_PROFILE_DATE_YEAR"]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return make_sample(AgenciesWorld(), seed=7).files[0].rows


def test_the_volume_is_that_of_the_real_file(rows: pd.DataFrame):
    assert rows.shape[1] == 49
    assert rows["AGENCY_ID"].nunique() == 83
    assert len(rows) == pytest.approx(10_000, rel=0.05)


def test_the_volume_grows_with_the_agencies():
    assert len(make_sample(AgenciesWorld(agencies=830), seed=7).files[0].rows) == pytest.approx(100_000, rel=0.05)


def test_the_grain_is_unique(rows: pd.DataFrame):
    assert not rows.duplicated(GRAIN).any()
    assert rows.duplicated(GRAIN[:-1]).any()


def test_attributes_are_constant_by_agency(rows: pd.DataFrame):
    attributes = ["PRIMARY_AGENCY_ID", *rows.columns[rows.columns.get_loc("AGENCY_APPOINTMENT_YEAR") :]]

    assert (rows.groupby("AGENCY_ID")[attributes].nunique(dropna=False) == 1).all(axis=None)


def test_a_share_of_agencies_has_no_known_master_and_no_agency_is_called_like_a_sentinel(rows: pd.DataFrame):
    agencies = rows.drop_duplicates("AGENCY_ID")

    assert (agencies["PRIMARY_AGENCY_ID"] == 99_999).sum() == 35
    assert not agencies["AGENCY_ID"].isin([99_997, 99_998, 99_999]).any()


def test_2005_and_2015_are_short_and_other_years_mostly_whole(rows: pd.DataFrame):
    usual = rows.groupby("STAT_PROFILE_DATE_YEAR")["MONTHS"].agg(lambda months: months.mode().iloc[0])

    assert usual.to_dict() == {**dict.fromkeys(range(2006, 2015), 12), 2005: 8, 2015: 5}
    assert rows["MONTHS"].between(1, 12).all()


def test_last_year_of_a_row_is_the_row_of_last_year(rows: pd.DataFrame):
    before = rows.assign(STAT_PROFILE_DATE_YEAR=rows["STAT_PROFILE_DATE_YEAR"] + 1)
    both = rows.merge(before, on=GRAIN, suffixes=("", "_THEN"))

    assert len(both) > 8_000
    assert (both["PREV_WRTN_PREM_AMT"] == both["WRTN_PREM_AMT_THEN"]).all()
    assert (both["PREV_POLY_INFORCE_QTY"] == both["POLY_INFORCE_QTY_THEN"]).all()
    assert (both["PREV_WRTN_PREM_AMT"] == both["PRD_ERND_PREM_AMT_THEN"]).mean() < 0.3


def test_premium_is_persistent(rows: pd.DataFrame):
    whole = rows.query("MONTHS == 12 and WRTN_PREM_AMT > 100 and 100 < PREV_WRTN_PREM_AMT < 99999")
    whole = whole[whole["STAT_PROFILE_DATE_YEAR"] > 2006]

    assert np.corrcoef(np.log(whole["WRTN_PREM_AMT"]), np.log(whole["PREV_WRTN_PREM_AMT"]))[0, 1] > 0.9


def test_the_loss_ratio_is_losses_by_premium_or_the_sentinel_that_says_why_not(rows: pd.DataFrame):
    premium, losses, ratio = (rows[name] for name in ("WRTN_PREM_AMT", "PRD_INCRD_LOSSES_AMT", "LOSS_RATIO"))

    assert np.allclose(ratio[premium > 0], losses[premium > 0] / premium[premium > 0], atol=1e-8)
    assert (ratio[(premium == 0) & (losses > 0)] == 99_998).all()
    assert (ratio[(premium == 0) & (losses < 0)] == 99_997).all()
    assert (ratio[(premium < 0) | ((premium == 0) & (losses == 0))] == 99_999).all()
    assert {99_997, 99_998, 99_999} <= set(ratio)


def test_the_retention_ratio_is_retained_by_previous_policies(rows: pd.DataFrame):
    known = rows.query("0 < PREV_POLY_INFORCE_QTY < 99999")
    unknown = rows.query("PREV_POLY_INFORCE_QTY in (0, 99999)")

    assert np.allclose(
        known["RETENTION_RATIO"], known["RETENTION_POLY_QTY"] / known["PREV_POLY_INFORCE_QTY"], atol=1e-8
    )
    assert (rows["RETENTION_POLY_QTY"] <= rows["PREV_POLY_INFORCE_QTY"]).all()
    assert (unknown["RETENTION_RATIO"] == 99_999).all()


def test_the_three_year_loss_ratio_is_of_the_line_of_the_agency(rows: pd.DataFrame):
    of_2010 = rows.query("STAT_PROFILE_DATE_YEAR == 2010")
    recent = rows.query("2008 <= STAT_PROFILE_DATE_YEAR <= 2010").groupby(["AGENCY_ID", "PROD_LINE"])
    sums = recent[["WRTN_PREM_AMT", "PRD_INCRD_LOSSES_AMT"]].sum()
    expected = (sums["PRD_INCRD_LOSSES_AMT"] / sums["WRTN_PREM_AMT"]).rename("expected")
    known = of_2010.join(expected, on=["AGENCY_ID", "PROD_LINE"]).query("LOSS_RATIO_3YR < 99997")

    assert len(known) > 500
    assert np.allclose(known["LOSS_RATIO_3YR"], known["expected"], atol=1e-6)


def test_the_short_years_have_no_three_year_ratios(rows: pd.DataFrame):
    short = rows.query("STAT_PROFILE_DATE_YEAR in (2005, 2015)")

    assert (short[["LOSS_RATIO_3YR", "GROWTH_RATE_3YR"]] == 99_999).all(axis=None)


def test_premium_and_losses_are_zero_or_negative_as_often_as_in_the_source(rows: pd.DataFrame):
    assert (rows["WRTN_PREM_AMT"] == 0).mean() == pytest.approx(0.24, abs=0.05)
    assert (rows["WRTN_PREM_AMT"] < 0).mean() == pytest.approx(0.025, abs=0.01)
    assert (rows["PRD_INCRD_LOSSES_AMT"] == 0).mean() == pytest.approx(0.74, abs=0.05)
    assert (rows["PRD_INCRD_LOSSES_AMT"] < 0).mean() == pytest.approx(0.037, abs=0.015)
    assert 0.4 < rows["PRD_INCRD_LOSSES_AMT"].sum() / rows["WRTN_PREM_AMT"].sum() < 0.9


def test_product_codes_keep_their_inner_spaces(rows: pd.DataFrame):
    assert "CYCLES  12" in set(rows["PROD_ABBR"])


def test_one_amount_of_new_business_looks_like_the_sentinel(rows: pd.DataFrame):
    assert (rows["NB_WRTN_PREM_AMT"] == 99_999).sum() == 1


@pytest.mark.real_data
def test_the_columns_are_those_of_the_real_file(rows: pd.DataFrame, real_data):
    header = pd.read_csv(next((real_data / "agency_performance").glob("*.csv")), nrows=0)

    assert list(rows.columns) == list(header.columns)
