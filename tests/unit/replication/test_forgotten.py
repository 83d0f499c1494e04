"""Changes of a forgotten person are recognised, also those that no longer name the person."""

from __future__ import annotations

from quintet.change_log.change import Change, Row, TableName
from quintet.forgotten import Forgotten
from quintet.replication.forgotten import PersonFilter

_LOAN = TableName("public", "loan")
_TABLES = {
    TableName("public", "user"): ("id", None),
    _LOAN: ("client_id", None),
    TableName("public", "payment"): ("loan_id", _LOAN),
}


def _filter(learned: list[tuple[str, str]]) -> tuple[PersonFilter, Forgotten]:
    forgotten = Forgotten(b"key")
    forgotten.persons["client"] = {forgotten.digest("client", 7)}
    return PersonFilter(_TABLES, "client", forgotten, lambda *found: learned.append(found)), forgotten


def _change(table: str, row: Row | None, old: Row | None = None) -> Change:
    return Change(1, 0, "2026-01-01T00:00:00Z", table, "update", "s", row, old)


def test_rows_of_the_person_and_rows_below_them_are_recognised() -> None:
    learned: list[tuple[str, str]] = []
    person, forgotten = _filter(learned)
    assert person.holds(_change("user", {"id": 7}))
    assert not person.holds(_change("payment", {"id": 1, "loan_id": 70}))  # not known yet whose it is
    assert person.holds(_change("loan", {"id": 70, "client_id": 7}))
    assert person.holds(_change("payment", {"id": 1, "loan_id": 70}))
    assert person.holds(_change("payment", None, {"id": 1}))  # a deletion that names its key alone
    assert learned == [
        ("public.loan", forgotten.digest("public.loan", 70)),
        ("public.payment", forgotten.digest("public.payment", 1)),
    ]


def test_rows_of_others_and_of_other_tables_pass() -> None:
    person, _ = _filter([])
    assert not person.holds(_change("user", {"id": 8}))
    assert not person.holds(_change("loan", {"id": 7, "client_id": 8}))  # another kind of id with the same number
    assert not person.holds(_change("other", {"id": 7, "client_id": 7}))
    assert not person.holds(_change("loan", None))
    assert not PersonFilter(_TABLES, "client", Forgotten(), print).holds(_change("user", {"id": 7}))
