"""Build the training panel of the forecast: one row per agency, line and year, with next year's premium."""

from __future__ import annotations

import numpy as np
import pandas as pd

MONTHS_OF_A_YEAR = 12
KEY = ["agency_id", "prod_line"]

LINE_PREDICTORS = ["is_commercial", "is_other_line"]
PREDICTORS = [
    *LINE_PREDICTORS,
    *("new_business_share", "earned_gap", "lost_policy_share", "policy_growth", "annualised_gap"),
]
"""The predictors of the linear model: shares of the year's own premium or policies, defined for a short year too."""
MORE_PREDICTORS = [*PREDICTORS, "premium_growth", "log_loss_ratio", "log_premium", "is_new"]
"""The predictors of the trees."""


def panel(history: pd.DataFrame) -> pd.DataFrame:
    """Return one row per agency, line and year with a known premium of the whole year, in this order.

    history: see `premium_history`; one row per agency, line and year, in any order.
    Columns: agency_id, prod_line, year, `premium` (of the whole year, USD), `is_complete`, `next_premium` (of the next
    whole year, USD; 0 where the agency and line has no row in it; null where the next year is not known in whole)
    and `MORE_PREDICTORS`, never null. A row's predictors come from its own year. So does its premium, except in a
    short year, where it comes from the previous-year columns of the next year.
    """
    rows = history.dropna(subset=["written_premium"]).reset_index(drop=True)
    is_complete = rows["months_covered"] == MONTHS_OF_A_YEAR
    rows = rows.assign(is_complete=is_complete, premium=_whole_year_premium(rows, is_complete))
    rows = rows[rows["premium"].notna()]
    following = rows[[*KEY, "year", "premium"]].rename(columns={"premium": "next_premium"})
    rows = rows.merge(following.assign(year=following["year"] - 1), on=[*KEY, "year"], how="left")
    complete_years = rows.loc[rows["is_complete"], "year"].unique()
    stopped = rows["next_premium"].isna() & (rows["year"] + 1).isin(complete_years)
    rows["next_premium"] = rows["next_premium"].mask(stopped, 0.0)
    columns = [*KEY, "year", "premium", "is_complete", "next_premium"]
    result = pd.concat([rows[columns], _predictors(rows)], axis=1)
    return result.sort_values(["year", *KEY], ignore_index=True)


def _whole_year_premium(rows: pd.DataFrame, is_complete: pd.Series) -> pd.Series:
    """Return the written premium of the whole year, null where it is unknown.

    The year after a short one may state the short year's final premium, or that of its first months. The sums decide:
    their ratio is nearer to 12 / months in the first case, nearer to 1 in the second.
    """
    stated = rows.loc[is_complete, [*KEY, "year", "prev_written_premium"]].rename(
        columns={"prev_written_premium": "stated"}
    )
    merged = rows[[*KEY, "year"]].merge(stated.assign(year=stated["year"] - 1), on=[*KEY, "year"], how="left")["stated"]
    is_stated = ~is_complete & merged.notna()
    sums = pd.DataFrame({"stated": merged, "short": rows["written_premium"], "months": rows["months_covered"]})
    by_year = sums[is_stated].groupby(rows["year"]).agg({"stated": "sum", "short": "sum", "months": "first"})
    is_whole = by_year["stated"] > by_year["short"] * np.sqrt(MONTHS_OF_A_YEAR / by_year["months"])
    accepted = is_stated & rows["year"].isin(is_whole.index[is_whole])
    return rows["written_premium"].where(is_complete, merged.where(accepted))


def _predictors(rows: pd.DataFrame) -> pd.DataFrame:
    premium, before = rows["written_premium"], rows["prev_written_premium"]
    lost = 1 - _ratio(rows["retained_policies"], rows["prev_policies_in_force"])
    usual_loss = lost.groupby([rows["prod_line"], rows["year"]]).transform("median")
    is_commercial = rows["prod_line"] == "CL"
    return pd.DataFrame(
        {
            "is_commercial": is_commercial.astype(float),
            "is_other_line": (~is_commercial).astype(float),
            "new_business_share": _ratio(rows["new_business_premium"], premium).clip(0, 1).fillna(0.0),
            # Premium is earned later than it is written: a start, a stop or an odd year shows as a gap.
            "earned_gap": _ratio(rows["earned_premium"] - premium, premium).clip(-1, 1).fillna(0.0),
            "lost_policy_share": lost.clip(0, 1).fillna(usual_loss.clip(0, 1)).fillna(0.0),
            "policy_growth": _ratio(
                rows["policies_in_force"] - rows["prev_policies_in_force"], rows["prev_policies_in_force"]
            )
            .clip(-1, 1)
            .fillna(0.0),
            "annualised_gap": _ratio(rows["annualised_premium"] - premium, premium).clip(0, 1).fillna(0.0),
            "premium_growth": _ratio(premium - before, premium).clip(-1, 1).fillna(0.0),
            "log_loss_ratio": np.log1p(_ratio(rows["incurred_losses"], premium).clip(0, 5)).fillna(0.0),
            "log_premium": np.log10(premium.clip(lower=1_000.0)),
            "is_new": before.isna().astype(float),
        },
        index=rows.index,
    )


def _ratio(numerator: pd.Series, denominator: pd.Series) -> pd.Series:
    """Return the ratio, null where the denominator is not above zero."""
    return numerator / denominator.where(denominator > 0)
