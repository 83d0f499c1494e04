"""Outstanding principal: amounts of open loans, less the principal received on them."""

from __future__ import annotations

from datetime import date

import pytest

from quintet.lending.features.outstanding_principal import FEATURE
from tests.unit.lending.events import gone, loan, payment, value_after

_LOAN = loan(1, "active", "2020-06-01", amount=100.0)


@pytest.mark.parametrize("status", ["paid", "application"])
def test_nothing_is_owed_on_loans_that_are_not_open(status: str) -> None:
    assert value_after(FEATURE, loan(1, status, "2020-06-01")) == 0.0


def test_principal_received_up_to_the_day_is_taken_off() -> None:
    paid = [payment(1, 1, "2020-07-01"), payment(2, 1, "2020-12-01")]
    assert value_after(FEATURE, _LOAN, *paid) == 60.0
    assert value_after(FEATURE, _LOAN, *paid, as_of=date(2020, 6, 30)) == 100.0


def test_payments_on_other_loans_are_not_taken_off() -> None:
    assert value_after(FEATURE, _LOAN, payment(1, 2, "2020-07-01")) == 100.0


def test_it_is_never_negative() -> None:
    assert value_after(FEATURE, _LOAN, payment(1, 1, "2020-07-01", principle=150.0)) == 0.0


def test_sums_are_exact() -> None:
    loans = [loan(key, "active", "2020-06-01", amount=0.1) for key in range(3)]
    assert value_after(FEATURE, *loans) == 0.3


def test_deleted_rows_no_longer_count() -> None:
    assert value_after(FEATURE, _LOAN, gone(_LOAN)) == 0.0
