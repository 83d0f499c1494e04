"""The loan book: its marginals, its truth, and that the same seed writes the same rows."""

from __future__ import annotations

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
