"""Rows of the loan book: what converts exactly is read, and everything else is refused by column and value."""

from __future__ import annotations

from typing import Any

import pytest

from quintet.lending.rows import UnreadableRowError, read_columns, read_row

_LOAN = {
    "id": 1, "client_id": 7, "amount": 100.0, "created_on": "2020-02-01", "status": "paid", "updated_on": None,
    "channel": "infinity",
}  # fmt: skip


@pytest.mark.parametrize(
    ("column", "value", "read"),
    [
        ("client_id", "12", 12),
        ("client_id", "12.00", 12),
        ("amount", 12, 12),
        ("amount", "12.50", 12.5),
        ("amount", "0.1", 0.1),
        ("created_on", "2020-02-01T23:59:59.000001Z", "2020-02-01"),
        ("created_on", "2020-02-01 23:59:59+00", "2020-02-01"),
        ("created_on", "9999-12-31", "9999-12-31"),
        ("created_on", None, None),
        ("status", "žluťoučký", "žluťoučký"),
    ],
)
def test_a_value_that_converts_exactly_is_read(column: str, value: Any, read: Any) -> None:
    assert read_row("loan", _LOAN | {column: value}) == _LOAN | {column: read}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("client_id", "12.5"),
        ("client_id", 12.0),
        ("amount", "nan"),
        ("amount", "Infinity"),
        ("amount", "12345678901234567890.01"),
        ("amount", "a lot"),
        ("created_on", "infinity"),
        ("created_on", "-infinity"),
        ("created_on", "10000-01-01"),
        ("created_on", "0044-03-15 BC"),
        ("created_on", "2000-01-01 +3652059 days"),
        ("created_on", "2020-02-01 23:59:59+02"),
        ("created_on", 20200201),
        ("status", "p\ufffdid"),
        ("status", 1),
    ],
)
def test_any_other_value_is_refused_by_name(column: str, value: Any) -> None:
    row = _LOAN | {column: value}
    with pytest.raises(UnreadableRowError, match=f"column {column} holds"):
        read_row("loan", row)
    assert read_columns("loan", row) == {
        name: value for name, value in _LOAN.items() if name not in (column, "channel") and value is not None
    }


def test_a_value_that_is_not_there_is_refused() -> None:
    with pytest.raises(UnreadableRowError, match="column status has no value in the log"):
        read_row("loan", {name: value for name, value in _LOAN.items() if name != "status"})
