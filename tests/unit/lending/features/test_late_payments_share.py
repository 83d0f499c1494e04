"""The share of late payments is over payments that are not in the future."""

from __future__ import annotations

from datetime import date

import pytest

from quintet.lending.features.late_payments_share import FEATURE
from tests.unit.lending.events import gone, loan, payment, value_after

_ON_TIME, _LATE = payment(1, 1, "2020-07-01"), payment(2, 1, "2020-08-01", status="late")


def test_no_payment_is_null() -> None:
    assert value_after(FEATURE, loan(1, "active", "2020-06-01"), payment(1, 1, "2020-12-01")) is None


def test_always_on_time_is_zero_and_not_null() -> None:
    assert value_after(FEATURE, _ON_TIME) == 0.0


@pytest.mark.parametrize(("as_of", "expected"), [(date(2020, 7, 31), 0.0), (date(2020, 8, 1), 0.5)])
def test_payments_count_from_their_day(as_of: date, expected: float) -> None:
    assert value_after(FEATURE, _ON_TIME, _LATE, as_of=as_of) == expected


def test_a_payment_that_is_gone_no_longer_counts() -> None:
    assert value_after(FEATURE, _ON_TIME, _LATE, gone(_ON_TIME)) == 1.0
