"""Overdue loans are counted from the day on which they became so."""

from __future__ import annotations

from datetime import date

import pytest

from quintet.lending.features.overdue_loans_count import FEATURE
from tests.unit.lending.events import gone, loan, payment, value_after

_OVERDUE = loan(1, "overdue", "2020-06-01", updated_on="2020-08-01")


@pytest.mark.parametrize("status", ["active", "paid", "application"])
def test_other_loans_do_not_count(status: str) -> None:
    assert value_after(FEATURE, _OVERDUE, loan(2, status, "2020-06-01")) == 1


def test_a_loan_counts_from_the_day_it_became_overdue() -> None:
    assert value_after(FEATURE, _OVERDUE, as_of=date(2020, 7, 31)) == 0


def test_a_loan_that_was_paid_after_all_or_is_gone_no_longer_counts() -> None:
    assert value_after(FEATURE, _OVERDUE, loan(1, "paid", "2020-06-01")) == 0
    assert value_after(FEATURE, _OVERDUE, gone(_OVERDUE), payment(1, 1, "2020-08-01")) == 0
