"""The event router of `book.py`: a change of a row becomes events of the clients that it affects."""

from __future__ import annotations

import pytest

from quintet.change_log.change import Change
from quintet.lending.book import apply_changes, events_of
from quintet.lending.feature_registry import features
from quintet.lending.folding import RowsInMemory
from tests.unit.lending.events import change

LOAN = {"client_id": 7, "amount": 100.0, "created_on": "2020-02-01", "status": "active", "updated_on": "2020-02-01"}
PAYMENT = {"loan_id": 1, "principle": 100.0, "interest": 9.0, "status": "late", "created_on": "2020-06-20"}


def routed(book: RowsInMemory, *changes: Change) -> list[tuple[str, str, str, bool]]:
    """Return client, table, key and whether the row is the client's, for every event in order."""
    return [
        (client, event.table, event.key, event.row is not None)
        for one in changes
        for client, event in events_of(book, one, [])
    ]


@pytest.fixture
def book() -> RowsInMemory:
    """Client 7 with a loan and its payment."""
    made = RowsInMemory()
    routed(made, change(1, "loan", 1, LOAN), change(2, "payment", 1, PAYMENT))
    return made


def test_a_loan_and_its_payment_are_events_of_its_client() -> None:
    found = routed(RowsInMemory(), change(1, "loan", 1, LOAN), change(2, "payment", 1, PAYMENT))

    assert found == [("7", "loan", "1", True), ("7", "payment", "1", True)]


def test_a_payment_before_its_loan_follows_once_the_loan_is_known() -> None:
    book = RowsInMemory()

    assert routed(book, change(1, "payment", 1, PAYMENT)) == []
    assert routed(book, change(2, "loan", 1, LOAN)) == [("7", "loan", "1", True), ("7", "payment", "1", True)]


def test_a_loan_of_another_client_takes_its_payments_along(book: RowsInMemory) -> None:
    assert routed(book, change(3, "loan", 1, {**LOAN, "client_id": 8})) == [
        ("7", "loan", "1", False),
        ("8", "loan", "1", True),
        ("7", "payment", "1", False),
        ("8", "payment", "1", True),
    ]


def test_a_change_that_no_feature_reads_is_no_event(book: RowsInMemory) -> None:
    assert routed(book, change(3, "loan", 1, {**LOAN, "comment": "x"})) == []
    assert routed(book, change(4, "loan", 1, {**LOAN, "status": "paid"})) == [("7", "loan", "1", True)]


def test_a_deleted_row_is_removed_from_its_client(book: RowsInMemory) -> None:
    gone = change(3, "payment", 1, PAYMENT)._replace(operation="delete", row=None, old={"id": 1})

    assert routed(book, gone) == [("7", "payment", "1", False)]
    assert book.row("payment", "1") is None


def test_a_truncated_table_removes_each_of_its_rows(book: RowsInMemory) -> None:
    routed(book, change(3, "payment", 2, PAYMENT))
    emptied = change(4, "payment", 1, PAYMENT)._replace(operation="truncate", row=None, old=None)

    assert routed(book, emptied) == [("7", "payment", "1", False), ("7", "payment", "2", False)]


def test_a_new_key_moves_the_row(book: RowsInMemory) -> None:
    moved = change(3, "payment", 5, PAYMENT)._replace(operation="update", old={"id": 1})

    assert routed(book, moved) == [("7", "payment", "1", False), ("7", "payment", "5", True)]


def test_another_table_is_no_event() -> None:
    assert routed(RowsInMemory(), change(1, "employee", 1, {"name": "x"})) == []


def test_the_states_follow(book: RowsInMemory) -> None:
    assert apply_changes(book, features(), [change(3, "loan", 1, {**LOAN, "client_id": 8})]) == []

    assert book.states("8")["open_loans_count"] != book.states("7")["open_loans_count"]
