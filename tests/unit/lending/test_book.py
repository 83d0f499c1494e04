"""The router of changes: a row that cannot be read is quarantined, and its clients are marked until it can be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quintet.change_log.change import Change, Position
from quintet.change_log.log import Epoch
from quintet.lending.feature_registry import features
from quintet.lending.online import OnlineFeatures
from quintet.state.features import FeatureStore
from tests.unit.lending.events import AS_OF, change

_LOAN = {"client_id": 7, "amount": 100.0, "created_on": "2020-02-01", "status": "paid", "updated_on": "2020-06-20"}
_PAYMENT = {"loan_id": 1, "principle": 100.0, "interest": 9.0, "status": "on_time", "created_on": "2020-06-20"}
_POISON: dict[str, tuple[str, dict[str, Any]]] = {
    "an infinite day": ("loan", _LOAN | {"created_on": "infinity"}),
    "a year beyond 9999": ("loan", _LOAN | {"updated_on": "2000-01-01 +3652059 days"}),
    "an amount that is no number": ("loan", _LOAN | {"amount": "nan"}),
    "an unknown encoding": ("loan", _LOAN | {"status": "p\ufffdid"}),
    "a lost long value": ("loan", {name: value for name, value in _LOAN.items() if name != "status"}),
    "a payment": ("payment", _PAYMENT | {"principle": "Infinity"}),
    "a user": ("user", {"created_on": "infinity", "birth_date": None}),
}


@pytest.fixture
def online(tmp_path: Path) -> Iterator[OnlineFeatures]:
    """Clients 7 and 8 with a paid loan each, applied up to position 100."""
    found = OnlineFeatures(FeatureStore(tmp_path), features())
    found.begin(Epoch("E", Position(0), Position(0), "2020-01-01T00:00:00.000000Z", "1"))
    people = [change(n, "user", n, {"created_on": "2020-01-01", "birth_date": None}) for n in (7, 8)]
    loans = [change(10, "loan", 1, _LOAN), change(11, "loan", 2, _LOAN | {"client_id": 8})]
    found.apply([*people, *loans, change(12, "payment", 1, _PAYMENT)], Position(100), 100)
    yield found
    found.store.close()


def _incomplete(online: OnlineFeatures, client: int) -> list[str]:
    found = online.features_of(client, AS_OF)
    assert found is not None
    return list(found.incomplete)


@pytest.mark.parametrize("poison", _POISON)
def test_a_row_that_cannot_be_read_marks_its_client_alone_until_it_is_corrected(
    online: OnlineFeatures, poison: str
) -> None:
    table, row = _POISON[poison]
    key = 7 if table == "user" else 1
    (quarantined,) = online.apply([change(150, table, key, row)], Position(200), 200)
    assert (quarantined.table, quarantined.key) == (f"public.{table}", str(key))
    assert _incomplete(online, 7) == [table]
    assert _incomplete(online, 8) == []
    assert f"{table} {key}" in online.incomplete()[0]
    assert online.features_at(7, 1, 120, AS_OF).incomplete == {}  # complete up to an earlier commit
    good = {"loan": _LOAN, "payment": _PAYMENT, "user": {"created_on": "2020-01-01", "birth_date": None}}[table]
    assert online.apply([change(250, table, key, good)], Position(300), 300) == []
    assert _incomplete(online, 7) == []
    assert online.incomplete() == []


@pytest.mark.parametrize("operation", ["delete", "truncate"])
def test_a_row_that_is_gone_is_not_quarantined_any_more(online: OnlineFeatures, operation: str) -> None:
    online.apply([change(150, "payment", 1, _POISON["a payment"][1])], Position(200), 200)
    gone = change(250, "payment", 1, None)
    if operation == "truncate":
        gone = gone._replace(operation="truncate", old=None)
    online.apply([gone], Position(300), 300)
    assert _incomplete(online, 7) == []


def test_a_row_that_moves_marks_both_clients(online: OnlineFeatures) -> None:
    moved = _LOAN | {"client_id": 8, "amount": "nan"}
    online.apply([change(150, "loan", 1, moved)], Position(200), 200)
    assert (_incomplete(online, 7), _incomplete(online, 8)) == (["loan"], ["loan"])


def test_a_loan_that_moves_takes_the_mark_of_its_payment_along(online: OnlineFeatures) -> None:
    online.apply([change(150, "payment", 1, _POISON["a payment"][1])], Position(200), 200)
    online.apply([change(250, "loan", 1, _LOAN | {"client_id": 8})], Position(300), 300)
    assert _incomplete(online, 8) == ["payment"]


@pytest.mark.parametrize("nameless", ["a deletion by another identity", "an owner that cannot be read"])
def test_a_row_of_an_unknown_client_marks_everybody(online: OnlineFeatures, nameless: str) -> None:
    poison = change(150, "loan", 9, _LOAN | {"client_id": "many"})
    if nameless.startswith("a deletion"):
        poison = poison._replace(operation="delete", row=None, old={"client_id": 7})
    online.apply([poison], Position(200), 200)
    assert (_incomplete(online, 7), _incomplete(online, 8)) == (["loan"], ["loan"])


def test_a_row_without_a_client_marks_nobody(online: OnlineFeatures) -> None:
    online.apply([change(150, "loan", 9, _LOAN | {"client_id": None, "amount": "nan"})], Position(200), 200)
    assert (_incomplete(online, 7), _incomplete(online, 8)) == ([], [])


def test_a_table_of_the_same_name_in_another_schema_is_another_table(online: OnlineFeatures) -> None:
    before = online.features_of(7, AS_OF)
    other = change(150, "loan", 1, _LOAN | {"status": "overdue"})._replace(namespace="archive")
    truncated = Change(160, 0, other.committed_at, "loan", "truncate", "s", None, None, (), "archive")
    online.apply([other, truncated], Position(200), 200)
    after = online.features_of(7, AS_OF)
    assert before is not None
    assert after is not None
    assert after.values == before.values
