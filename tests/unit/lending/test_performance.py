"""Estimated and realised performance on simulated books: no drift, other clients, and other repayment."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from quintet.lending.performance import PERFORMANCE_COLUMNS, in_words, performance

_MONTHS, _LOANS = 12, 1_500
_SPLIT = date(2024, 8, 31)


def book(
    seed: int,
    *,
    spread_later: float = 1.2,
    odds_later: float = 0.0,
    blind_later: bool = False,
    open_from: int = _MONTHS,
) -> pd.DataFrame:
    """Return months of scored loans; none has ended from the month `open_from` on.

    After the eighth month, log odds spread by `spread_later` instead of 1.2, and outcomes have `odds_later` higher log
    odds than the score says, or do not depend on it.
    """
    rng = np.random.default_rng(seed)
    month = np.repeat(np.arange(_MONTHS), _LOANS)
    is_late = month >= 8
    odds = rng.normal(-1.5, np.where(is_late, spread_later, 1.2))
    probability = 1 / (1 + np.exp(-odds))
    true = 1 / (1 + np.exp(-(odds + np.where(is_late, odds_later, 0.0))))
    true = np.where(is_late & blind_later, probability[is_late].mean(), true)
    outcome = pd.Series(np.where(rng.random(len(month)) < true, "overdue", "repaid"), dtype="object")
    return pd.DataFrame(
        {
            "applied_on": pd.to_datetime([f"2024-{number + 1:02}-15" for number in month]),
            "default_probability": probability,
            "outcome": outcome.where(month < open_from, None),
        }
    )


def late(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
    return rows[(rows["measure"] == measure) & (pd.to_datetime(rows["month"]) > pd.Timestamp(_SPLIT))]


def test_without_drift_estimates_are_near_what_happens_and_alarms_are_rare() -> None:
    books = [performance(book(seed), _SPLIT) for seed in range(15)]

    every = pd.concat(books)
    z = (every["realised"] - every["estimated"]) / every["noise"]
    assert z.groupby(every["measure"]).mean().abs().max() < 0.2
    assert z.groupby(every["measure"]).std().between(0.6, 1.2).all()
    assert sum(rows["alarm"].notna().any() for rows in books) <= 3  # less than one of 15 is expected


def test_other_clients_are_seen_before_any_of_their_loans_ends_and_the_estimate_comes_true() -> None:
    before = performance(book(3, spread_later=0.3, open_from=8), _SPLIT)
    after = performance(book(3, spread_later=0.3), _SPLIT)

    assert late(before, "auc")["realised"].isna().all()
    assert (late(before, "auc")["alarm"] == "estimate").all()
    assert "other clients apply" in in_words(before)
    realised = late(after, "auc")
    assert (realised["realised"] - realised["estimated"]).abs().max() < 4 * realised["noise"].max()
    assert (realised["reference"] - realised["realised"]).min() > 0.05


@pytest.mark.parametrize("change", [{"odds_later": 0.8}, {"blind_later": True}])
def test_other_repayment_of_the_same_clients_is_invisible_to_the_estimate_and_shown_as_loans_end(change: dict) -> None:
    before = performance(book(3, open_from=8, **change), _SPLIT)
    after = performance(book(3, **change), _SPLIT)

    assert before["alarm"].isna().all()
    assert "no month is worse" in in_words(before)
    measure = "auc" if "blind_later" in change else "bad_rate"
    assert (late(after, measure)["alarm"] == "realised").all()
    assert "the same clients repay differently" in in_words(after)


def test_a_month_of_which_few_loans_have_ended_is_shown_and_not_judged() -> None:
    rows = book(3, odds_later=0.8)
    is_late = pd.to_datetime(rows["applied_on"]) > pd.Timestamp(_SPLIT)
    rows.loc[is_late & (np.arange(len(rows)) % 2 == 0), "outcome"] = None
    found = late(performance(rows, _SPLIT), "bad_rate")

    assert found["realised"].notna().all()
    assert found["alarm"].isna().all()


def test_loans_without_a_score_do_not_count() -> None:
    rows = book(3)
    scored = rows["default_probability"]
    assert performance(rows.assign(default_probability=np.nan), _SPLIT).columns.tolist() == list(PERFORMANCE_COLUMNS)
    assert performance(rows.assign(default_probability=np.nan), _SPLIT).empty
    half = performance(rows.assign(default_probability=scored.where(np.arange(len(rows)) % 2 == 0)), None)
    assert half["loans"].max() == _LOANS // 2


def test_few_loans_have_no_auc_and_no_alarm() -> None:
    found = performance(book(3).groupby("applied_on").head(20), _SPLIT)

    assert found.loc[found["measure"] == "auc", ["estimated", "realised"]].isna().all(axis=None)
    assert found["alarm"].isna().all()


@pytest.mark.parametrize(("defaults", "alarm"), [(3, None), (8, None), (11, "realised")])
def test_a_few_defaults_more_than_expected_of_rare_ones_are_chance(defaults: int, alarm: str | None) -> None:
    number = np.tile(np.arange(100), 12)  # three of a hundred are expected in each month, give or take 1.7
    is_last = np.repeat(np.arange(12), 100) == 11
    rows = pd.DataFrame(
        {
            "applied_on": pd.to_datetime(np.repeat([f"2024-{month:02}-15" for month in range(1, 13)], 100)),
            "default_probability": 0.03,
            "outcome": np.where(number < np.where(is_last, defaults, 3), "overdue", "repaid"),
        }
    )
    found = performance(rows, None)

    assert found[found["measure"] == "bad_rate"]["alarm"].dropna().tolist() == ([] if alarm is None else [alarm])
