"""A row that breaks the contract is quarantined with its reason and verbatim text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import duckdb
import pytest

from tests.unit.ingest.order_files import assert_books_balance, lines


@pytest.fixture(autouse=True)
def _balanced(warehouse: duckdb.DuckDBPyConnection) -> Iterator[None]:
    yield
    assert_books_balance(warehouse)


# What breaks the contract


def test_a_row_that_breaks_the_contract_is_quarantined_with_reason_and_text(shop: Any, header: str):
    shop.put("a.csv", header + lines(1, 1) + '2,2024-02-30,"1,234",1,"it\'s"\n' + lines(3, 1))

    (outcome,) = shop.load()

    assert (outcome.rows, outcome.loaded, outcome.rejected) == (3, 2, 1)
    assert shop.rows("order_id, _source_row") == [("1", 1), ("3", 3)]
    assert shop.rejected() == [
        (
            2,
            "ordered_at must be a real date and time like 2024-05-01 13:45:00 (1900 to 2199), not '2024-02-30'; "
            "amount must be a number of at least 0 (a point for decimals, no thousands separator), not '1,234'",
            '2,2024-02-30,"1,234",1,"it\'s"',
        )
    ]


def test_a_row_that_breaks_the_contract_in_a_large_file_is_found_again(shop: Any, header: str):
    content = lines(0, 200_000).splitlines()
    content[150_000] = "150000,2024-05-01,1,0,x"
    shop.put("a.csv", header + "\n".join(content))

    (outcome,) = shop.load()

    assert (outcome.loaded, outcome.rejected) == (199_999, 1)
    assert [(row, text) for row, _, text in shop.rejected()] == [(150_001, "150000,2024-05-01,1,0,x")]


def test_rows_that_break_the_contract_are_found_in_many_files(shop: Any, header: str):
    for number in range(20):
        shop.put(f"{number:02}.csv", header + lines(1, number) + f"{number},never,1,1,x\n")

    outcomes = shop.load()

    assert [(outcome.loaded, outcome.rejected) for outcome in outcomes] == [(number, 1) for number in range(20)]
    assert [(row, text) for row, _, text in shop.rejected()] == [(n + 1, f"{n},never,1,1,x") for n in range(20)]


def test_a_file_of_only_broken_rows_is_quarantined_whole(shop: Any, header: str):
    shop.put("a.csv", header + "x,y,z,0,w\n" * 60_000)

    (outcome,) = shop.load()

    assert (outcome.status, outcome.rows, outcome.loaded, outcome.rejected) == ("loaded", 60_000, 0, 60_000)
    assert shop.rejected()[-1][0] == 60_000


def test_a_broken_row_affects_no_other_row_of_fifty_files(shop: Any, header: str):
    for number in range(50):
        shop.put(f"{number:02}.csv", header + lines(number * 10, 10))
    shop.put("25.csv", header + lines(250, 5) + '255,"never closed,1,1,x\n' + lines(256, 4))

    outcomes = shop.load()

    assert {outcome.status for outcome in outcomes} == {"loaded"}
    assert [outcome.file for outcome in outcomes if outcome.rejected] == ["25.csv"]
    assert len(shop.rows()) == 499
    assert shop.rejected() == [(6, "a quotation mark is opened and never closed", '255,"never closed,1,1,x')]


def test_a_spreadsheets_error_is_let_through_where_it_means_missing(shop: Any, header: str):
    shop.put("a.csv", header + "1,2024-05-01,#REF!,1,x\n2,2024-05-01,1,#REF!,x\n")
    shop.load()

    assert shop.rows("order_id, amount") == [("1", "#REF!")]


@pytest.mark.parametrize(
    ("line", "reason", "text"),
    [
        (b"2,2024-05-01,1,1,nul\0here", "the row holds a NUL byte", "2,2024-05-01,1,1,nul\\x00here"),
        (b"2,2024-05-01,1,1,caf\xe9", "the row holds bytes that are not UTF-8", "2,2024-05-01,1,1,caf\\xe9"),
    ],
)
def test_a_row_with_impossible_bytes_is_quarantined_alone(shop: Any, header: str, line: bytes, reason: str, text: str):
    shop.put("a.csv", header.encode() + lines(1, 1, "é").encode() + line + b"\n" + lines(3, 1).encode())
    shop.load()

    assert shop.rows("order_id, note") == [("1", "é"), ("3", "x")]
    assert shop.rejected() == [(2, reason, text)]


@pytest.mark.parametrize("at_last", [True, False])
def test_a_line_of_ten_megabytes_is_quarantined_alone(shop: Any, header: str, at_last: bool):
    long = "2,2024-05-01,1,1," + "x" * 10_000_000 + "\n"
    shop.put("a.csv", header + lines(1, 1) + (lines(3, 1) + long if at_last else long + lines(3, 1)))
    shop.load()

    assert shop.rows("order_id") == [("1",), ("3",)]
    ((_, reason, text),) = shop.rejected()
    assert reason == "the line is longer than 2,000,000 characters"
    assert len(text) == len(long) - 1


def test_a_long_row_is_kept_in_bulk_and_by_record_alike(shop: Any, header: str):
    long = "1,2024-05-01,1,1," + "x" * 1_900_000 + "\n"
    shop.put("bulk.csv", header + long)
    shop.put("record.csv", header + long + "too,few\n")
    shop.load()

    assert shop.rows("length(note)") == [(1_900_000,), (1_900_000,)]


# The cost


class Recorder:
    """A connection that records the statements."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self.statements: list[str] = []

    def execute(self, statement: str, *parameters: object) -> duckdb.DuckDBPyConnection:
        self.statements.append(statement)
        return self._connection.execute(statement, *parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


@pytest.mark.parametrize(("amount", "is_broken"), [("1", False), ("never", True)])
def test_the_reasons_are_planned_only_where_a_row_is_broken(shop: Any, header: str, amount: str, is_broken: bool):
    recorder = Recorder(shop.connection)
    shop.put("a.csv", f"{header}1,2024-05-01,{amount},1,x\n")

    replace(shop, connection=recorder).load()

    assert any("amount must be a number" in statement for statement in recorder.statements) == is_broken
