"""The bodies of the payments routes: minutes in every form, and what is refused."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from pydantic import ValidationError

from quintet.payments.incidents import to_minute
from quintet.web.routes.payments_models import ITEMS, MinuteQuery

MINUTE = to_minute(dt.datetime(2024, 1, 1, 14, 31))
COUNT = {"minute_at": "2024-01-01T14:31:00Z", "status": "approved", "count": 3}


def parsed(**changes: Any) -> Any:
    (item,) = ITEMS.validate_python([COUNT | changes])
    return item


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"minute_at": "2024-01-01T16:31:59+02:00"},
        {"minute_at": "2024-01-01 14:31"},
        {"minute_at": "14h 31", "day": "2024-01-01"},
        {"minute_at": "14:31", "day": "2024-01-01"},
    ],
)
def test_a_minute_has_several_forms(changes: dict[str, Any]) -> None:
    assert parsed(**changes).minute() == MINUTE


@pytest.mark.parametrize(
    "changes",
    [
        {"minute_at": "14h 31"},
        {"minute_at": "24h 00", "day": "2024-01-01"},
        {"minute_at": "14h 31", "day": "1999-12-31"},
        {"minute_at": "14h 31", "day": 20240101},
        {"minute_at": "1999-12-31T23:59:00Z"},
        {"minute_at": "0001-01-01T00:00:00+14:00"},
        {"minute_at": "9999-12-31T23:59:59-14:00"},
        {"minute_at": "yesterday"},
        {"count": -1},
        {"count": 10**9 + 1},
        {"count": 1.5},
        {"status": "a" * 65},
        {"status": "x\x00"},
        {"colour": "red"},
    ],
)
def test_a_wrong_minute_count_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parsed(**changes)


@pytest.mark.parametrize(
    ("changes", "series"),
    [({"status": "Denied"}, "denied"), ({"auth_code": "51"}, "denied"), ({"auth_code": "00"}, "volume")],
)
def test_a_transaction_counts_one_of_its_status(changes: dict[str, Any], series: str) -> None:
    given = {"minute_at": COUNT["minute_at"], "transaction_id": "t-1"} | changes
    (item,) = ITEMS.validate_python([given])

    assert (item.item().series, item.item().minute) == (series, MINUTE)


@pytest.mark.parametrize("changes", [{}, {"status": "denied", "auth_code": "51"}, {"auth_code": "5"}])
def test_a_transaction_has_a_status_or_a_code(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ITEMS.validate_python([{"minute_at": COUNT["minute_at"], "transaction_id": "t-1"} | changes])


@pytest.mark.parametrize("since", ["0001-01-01", "9999-12-31T23:59:59-14:00", "1700000000"])
def test_a_moment_out_of_range_is_refused(since: str) -> None:
    with pytest.raises(ValidationError):
        MinuteQuery.model_validate({"since": since})
