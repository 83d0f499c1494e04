"""Interest on loans issued in the window is divided by the amounts of these loans."""

from __future__ import annotations

from datetime import date

from quintet.lending.features.profit_in_last_90_days_rate import FEATURE
from tests.unit.lending.events import gone, loan, payment, value_after

_LOAN = loan(1, "active", "2020-08-01", amount=100.0)


def test_nothing_issued_in_the_window_is_null() -> None:
    assert value_after(FEATURE, loan(1, "application", "2020-08-01")) is None
    assert value_after(FEATURE, loan(1, "paid", "2020-01-01"), payment(1, 1, "2020-08-01")) is None


def test_issued_but_unpaid_is_zero() -> None:
    assert value_after(FEATURE, _LOAN) == 0.0


def test_unpaid_loans_are_in_the_divisor_and_payments_are_summed_per_loan() -> None:
    events = [
        _LOAN,
        loan(2, "overdue", "2020-08-02", amount=300.0),
        payment(1, 1, "2020-08-10"),
        payment(2, 1, "2020-08-11"),
    ]
    assert value_after(FEATURE, *events) == 20.0 / 400.0


def test_the_window_holds_ninety_days_with_the_last_one() -> None:
    paid = payment(1, 1, "2020-08-10")
    assert value_after(FEATURE, loan(1, "active", "2020-05-26"), paid) == 0.1
    assert value_after(FEATURE, loan(1, "active", "2020-05-25"), paid) is None


def test_placeholders_of_the_future_and_loans_of_the_future_change_nothing() -> None:
    events = [_LOAN, payment(1, 1, "2020-12-01"), loan(2, "active", "2020-12-01")]
    assert value_after(FEATURE, *events) == 0.0


def test_a_payment_that_comes_before_its_loan_counts_with_it() -> None:
    assert value_after(FEATURE, payment(1, 1, "2020-08-10"), _LOAN) == 0.1


def test_negative_amounts_count_as_zero() -> None:
    assert value_after(FEATURE, loan(1, "active", "2020-08-01", amount=-5.0)) is None
    assert value_after(FEATURE, _LOAN, payment(1, 1, "2020-08-10", interest=-3.0)) == 0.0


def test_deleted_rows_no_longer_count() -> None:
    paid = payment(1, 1, "2020-08-10")
    assert value_after(FEATURE, _LOAN, paid, gone(paid)) == 0.0
    assert value_after(FEATURE, _LOAN, paid, gone(_LOAN)) is None
    assert value_after(FEATURE, _LOAN, as_of=date(2020, 7, 31)) is None
