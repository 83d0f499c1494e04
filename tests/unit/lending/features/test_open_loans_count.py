"""Active and overdue loans are counted from the day on which they were issued."""

from __future__ import annotations

from datetime import date

import pytest

from quintet.lending.features.open_loans_count import FEATURE
from tests.unit.lending.events import gone, loan, payment, value_after


@pytest.mark.parametrize(("status", "expected"), [("active", 1), ("overdue", 1), ("paid", 0), ("application", 0)])
def test_active_and_overdue_loans_are_open(status: str, expected: int) -> None:
    assert value_after(FEATURE, loan(1, status, "2020-08-01")) == expected


def test_a_loan_is_open_from_the_day_of_its_issue() -> None:
    assert value_after(FEATURE, loan(1, "active", "2020-08-01"), as_of=date(2020, 7, 31)) == 0


def test_a_loan_that_was_paid_or_is_gone_is_no_longer_open() -> None:
    opened = loan(1, "active", "2020-08-01")
    assert value_after(FEATURE, opened, loan(1, "paid", "2020-08-01")) == 0
    assert value_after(FEATURE, opened, gone(opened)) == 0


def test_payments_change_nothing() -> None:
    assert value_after(FEATURE, payment(1, 1, "2020-08-01")) == 0
