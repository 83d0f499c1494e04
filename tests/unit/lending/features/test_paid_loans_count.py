"""Paid loans are counted once each, from the day on which they were paid."""

from __future__ import annotations

from datetime import date

import pytest

from quintet.lending.features.paid_loans_count import FEATURE
from tests.unit.lending.events import gone, loan, payment, value_after

_PAID = loan(1, "paid", "2020-01-01", updated_on="2020-03-01")


def test_a_client_without_loans_has_none_and_not_null() -> None:
    assert value_after(FEATURE) == 0


@pytest.mark.parametrize("status", ["application", "active", "overdue"])
def test_only_paid_loans_count(status: str) -> None:
    assert value_after(FEATURE, _PAID, loan(2, status, "2020-01-01")) == 1


def test_a_loan_counts_from_the_day_it_was_paid() -> None:
    assert value_after(FEATURE, _PAID, as_of=date(2020, 2, 29)) == 0
    assert value_after(FEATURE, _PAID, as_of=date(2020, 3, 1)) == 1


def test_a_loan_that_was_paid_and_is_deleted_or_taken_back_no_longer_counts() -> None:
    assert value_after(FEATURE, _PAID, gone(_PAID)) == 0
    assert value_after(FEATURE, _PAID, loan(1, "active", "2020-01-01")) == 0


def test_payments_change_nothing() -> None:
    assert value_after(FEATURE, _PAID, payment(1, 1, "2020-02-01")) == 1
