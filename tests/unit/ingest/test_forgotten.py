"""A forgotten person's rows never reach the raw tables, and their text is nowhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import duckdb
import pytest

from quintet.forgotten import REASON, Forgotten
from quintet.ingest.forgotten import quarantine_person, set_forgotten

_NOBODY = Forgotten(b"key")
_KIND = "customer"


@pytest.fixture
def customers(shop: Any) -> Any:
    """Return the shop with orders that are known to belong to a person."""
    return replace(shop, dataset=replace(shop.dataset, persons={"order_id": _KIND}))


def test_a_forgotten_person_does_not_come_back_with_a_file(
    customers: Any, header: str, warehouse: duckdb.DuckDBPyConnection
) -> None:
    set_forgotten(warehouse, replace(_NOBODY, persons={_KIND: {_NOBODY.digest(_KIND, "2")}}))
    customers.put("a.csv", header + "1,2024-05-01,1,1,first\n2,2024-05-01,1,1,second\n 2 ,never,1,1,broken as well\n")
    (outcome,) = customers.load()
    assert (outcome.loaded, outcome.rejected) == (1, 2)
    assert customers.rows("order_id") == [("1",)]
    assert customers.rejected() == [(2, REASON, None), (3, REASON, None)]


@pytest.mark.parametrize("digest", [Forgotten(b"other").digest(_KIND, "2"), _NOBODY.digest("user", "2")])
def test_the_hash_of_another_key_or_kind_keeps_nobody_out(
    customers: Any, header: str, warehouse: duckdb.DuckDBPyConnection, digest: str
) -> None:
    set_forgotten(warehouse, replace(_NOBODY, persons={_KIND: {digest}}))
    customers.put("a.csv", header + "2,2024-05-01,1,1,second\n")
    customers.load()
    assert customers.rows("order_id") == [("2",)]


@pytest.mark.parametrize("person", ["2", "nobody"])
def test_a_file_that_cannot_be_loaded_shows_no_forgotten_person(
    customers: Any, warehouse: duckdb.DuckDBPyConnection, person: str
) -> None:
    set_forgotten(warehouse, replace(_NOBODY, persons={_KIND: {_NOBODY.digest(_KIND, person)}}))
    customers.put("a.csv", "number,mail\n1,a@x.org\n 2 ,b@x.org\n")
    customers.put("headless.csv", "2,b@x.org\n3,c@x.org\n")
    customers.load()
    shown = repr(warehouse.execute("from ops.unread_files").fetchall())
    shown += repr(warehouse.execute("select message from ops.batches").fetchall())
    assert ("b@x.org" in shown) == (person == "nobody")
    assert ("names a person who was forgotten" in shown) == (person == "2")
    assert "a@x.org" in shown


def test_loaded_rows_move_to_the_quarantine_and_the_counts_of_their_file_still_add_up(
    customers: Any, header: str, warehouse: duckdb.DuckDBPyConnection
) -> None:
    customers.put("a.csv", header + "1,2024-05-01,1,1,first\n2,2024-05-01,1,1,second\n")
    customers.load()
    assert quarantine_person(warehouse, customers.dataset, _KIND, "2") == 1
    assert quarantine_person(warehouse, customers.dataset, "user", "1") == 0
    assert customers.rows("order_id") == [("1",)]
    assert customers.rejected() == [(2, REASON, None)]
    assert warehouse.execute("select rows, loaded, rejected from ops.batches").fetchall() == [(2, 1, 1)]
