"""Days are counted from the latest late payment that is not in the future."""

from __future__ import annotations

from datetime import date

import pytest

from quintet.lending.features.days_since_last_late_payment import FEATURE
from tests.unit.lending.events import gone, loan, payment, value_after

_LATE = payment(1, 1, "2020-08-13", status="late")


def test_never_late_is_null_and_not_zero() -> None:
    assert value_after(FEATURE, payment(1, 1, "2020-08-13")) is None


def test_late_today_is_zero_and_not_null() -> None:
    assert value_after(FEATURE, _LATE, as_of=date(2020, 8, 13)) == 0


@pytest.mark.parametrize("order", [1, -1])
def test_the_latest_counts_in_whatever_order_they_come(order: int) -> None:
    events = [_LATE, payment(2, 1, "2020-08-01", status="late")][::order]
    assert value_after(FEATURE, *events) == 10


def test_a_late_payment_of_the_future_changes_nothing() -> None:
    assert value_after(FEATURE, _LATE, payment(2, 1, "2020-09-01", status="late")) == 10


def test_a_payment_that_was_not_late_after_all_or_is_gone_no_longer_counts() -> None:
    assert value_after(FEATURE, _LATE, payment(1, 1, "2020-08-13")) is None
    assert value_after(FEATURE, _LATE, gone(_LATE)) is None


def test_loans_change_nothing() -> None:
    assert value_after(FEATURE, _LATE, loan(1, "overdue", "2020-08-20")) == 10
