"""The loan book: its marginals, its truth, and that the same seed writes the same rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from quintet.samples.lending import LendingWorld, LoanBook, make_book

_WORLD = LendingWorld(clients=20_000)
_SHARE = _WORLD.clients / 114_000


@pytest.fixture(scope="module")
def book() -> LoanBook:
    return make_book(_WORLD, 7)


def test_the_same_seed_makes_the_same_book_and_another_seed_another(book: LoanBook) -> None:
    again, other = make_book(_WORLD, 7), make_book(_WORLD, 8)
    pd.testing.assert_frame_equal(book.payment, again.payment)
    assert not book.loan.equals(other.loan)


def test_the_shares_of_statuses_are_those_of_the_real_dump(book: LoanBook) -> None:
    shares = book.loan["status"].value_counts(normalize=True)
    expected = {"application": 0.4, "active": 0.1, "paid": 0.4, "overdue": 0.1}
    assert shares.to_dict() == pytest.approx(expected, abs=0.02)


def test_sizes_are_those_of_the_real_dump(book: LoanBook) -> None:
    paid = book.loan[book.loan["status"] == "paid"].groupby("client_id").size()
    assert len(book.loan) == pytest.approx(167_000 * _SHARE, rel=0.05)
    assert len(book.payment) == pytest.approx(118_000 * _SHARE, rel=0.05)
    assert len(paid) == pytest.approx(45_533 * _SHARE, rel=0.06)
    assert paid.sum() == pytest.approx(66_924 * _SHARE, rel=0.06)
    assert paid.max() <= 11


def test_payments_are_late_dated_ahead_and_orphaned_as_in_the_real_dump(book: LoanBook) -> None:
    late = book.payment["status"] == "late"
    ahead = book.payment["created_on"] > pd.Timestamp(_WORLD.as_of)
    orphaned = ~book.payment["loan_id"].isin(book.loan["id"])
    assert late.mean() == pytest.approx(0.06, abs=0.01)
    assert ahead.mean() == pytest.approx(0.16, abs=0.03)
    assert 0 < orphaned.mean() < 0.01
    assert not (late & ahead).any()


def test_an_application_has_no_end_and_every_other_loan_has_one(book: LoanBook) -> None:
    applied = book.loan["status"] == "application"
    assert book.loan.loc[applied, "matured_on"].isna().all()
    assert book.loan.loc[~applied, "matured_on"].notna().all()


def test_clients_with_a_higher_risk_pay_back_less_often(book: LoanBook) -> None:
    ended = book.loan[book.loan["status"].isin(["paid", "overdue"])].merge(book.truth, left_on="id", right_on="loan_id")
    risky = ended["default_probability"] > ended["default_probability"].median()
    share = ended["status"].eq("overdue").groupby(risky).mean()
    assert share[True] > 2 * share[False]
    expected = np.average(ended["default_probability"])
    assert ended["status"].eq("overdue").mean() == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("changes", "is_riskier", "is_larger"),
    [({}, False, False), ({"risk_later": 0.8}, True, False), ({"amount_later": 1.0}, True, True)],
)
def test_a_book_drifts_from_a_day_on(changes: dict[str, float], is_riskier: bool, is_larger: bool) -> None:
    book = make_book(replace(_WORLD, clients=4_000, drifts_days=180, **changes), 3)  # type: ignore[arg-type]  # by name
    is_later = book.loan["created_on"] >= pd.Timestamp(_WORLD.as_of) - pd.Timedelta(days=180)
    risk = book.truth["default_probability"].groupby(is_later).mean()
    amount = book.loan["amount"].groupby(is_later).median()

    assert (risk[True] > 1.3 * risk[False]) == is_riskier
    assert (amount[True] > 1.5 * amount[False]) == is_larger
