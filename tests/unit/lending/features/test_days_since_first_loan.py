"""Days are counted from the first loan that was paid out."""

from __future__ import annotations

from datetime import date

import pytest

from quintet.lending.features.days_since_first_loan import FEATURE
from tests.unit.lending.events import gone, loan, payment, value_after


@pytest.mark.parametrize("status", ["active", "overdue", "paid"])
def test_days_run_from_the_first_issued_loan(status: str) -> None:
    assert value_after(FEATURE, loan(1, status, "2020-08-13"), loan(2, "active", "2020-08-20")) == 10


def test_an_application_is_no_loan() -> None:
    assert value_after(FEATURE, loan(1, "application", "2020-08-13"), payment(1, 1, "2020-08-13")) is None


def test_a_loan_of_the_future_is_not_known_yet() -> None:
    assert value_after(FEATURE, loan(1, "active", "2020-08-13"), as_of=date(2020, 8, 12)) is None


def test_a_loan_that_is_gone_no_longer_counts() -> None:
    issued = loan(1, "active", "2020-08-13")
    assert value_after(FEATURE, issued, gone(issued)) is None
