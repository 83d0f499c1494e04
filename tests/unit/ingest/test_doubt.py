"""A number such as 1.250 is read as 1250 or 1.25 by its whole column, or not at all."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from quintet.ingest.contract import parsing_macros
from quintet.ingest.doubt import may_be_thousands, rounded_amounts


def file_of(amounts: list[str], delimiter: str = ";", pieces: list[str] | None = None) -> str:
    """Return a file of orders with these amounts."""
    rows = [
        delimiter.join([str(number), "2024-05-01", f'"{amount}"', count])
        for number, (amount, count) in enumerate(zip(amounts, pieces or ["1"] * len(amounts), strict=True))
    ]
    return "\n".join([delimiter.join(["order_id", "ordered_at", "amount", "pieces"]), *rows]) + "\n"


@pytest.mark.parametrize(
    "others",
    [["1.250,50"], ["1.250,5"], ["7,5"], ["1.250.000"], ["1 250,50"], ["1'250,50"], ["7,5", "2.5"]],
)
@pytest.mark.parametrize("delimiter", [";", ","])
def test_a_point_among_decimal_commas_is_doubted(shop: Any, others: list[str], delimiter: str):
    shop.put("a.csv", file_of(["1.250", "10", *others], delimiter))
    shop.load()

    reasons = {row: reason for row, reason, _ in shop.rejected()}
    assert reasons[1] == (
        "amount is '1.250' in a file that seems to mark decimals with a comma: 1.250 may be 1250. Save the file with "
        "decimal points and without thousands separators"
    )
    assert 2 not in reasons
    assert 3 in reasons


@pytest.mark.parametrize("others", [["7.5"], ["0.125"], ["1250.5"], ["12500"], ["1.2505"], ["7.25", "0.125"]])
@pytest.mark.parametrize("delimiter", [";", ","])
def test_a_point_among_decimal_points_is_read(shop: Any, others: list[str], delimiter: str):
    shop.put("a.csv", file_of(["1.250", *others], delimiter))

    (outcome,) = shop.load()

    assert (outcome.rejected, outcome.message) == (0, None)


@pytest.mark.parametrize(("delimiter", "rejected"), [(";", 2), (",", 0), ("\t", 0)])
def test_without_any_sign_the_delimiter_decides_and_what_is_read_is_remarked(shop: Any, delimiter: str, rejected: int):
    shop.put("a.csv", file_of(["1.250", "2.500"], delimiter))

    (outcome,) = shop.load()

    assert outcome.rejected == rejected
    believed = "every number with decimals in amount is like 1.250; read with a decimal point, not as 1250"
    assert outcome.message == (None if rejected else believed)


@pytest.mark.parametrize(("pieces", "is_doubted"), [(["1,0", "2"], True), (["1.0", "2"], False)])
def test_another_column_decides_where_its_own_has_no_sign(shop: Any, pieces: list[str], is_doubted: bool):
    shop.put("a.csv", file_of(["1.250", "2.500"], ";", pieces))
    shop.load()

    doubted = [row for row, reason, _ in shop.rejected() if "amount is '" in reason]
    assert doubted == ([1, 2] if is_doubted else [])


def test_a_whole_number_of_thousands_is_no_small_number(shop: Any):
    shop.put("a.csv", file_of(["7,5", "7"], ";", ["1.000", "2"]))
    shop.put("b.csv", file_of(["7.5", "7"], ";", ["1.0", "2"]))

    outcomes = shop.load()

    assert [outcome.rejected for outcome in outcomes] == [1, 0]
    assert "pieces is '1.000' in a file that seems to mark decimals with a comma" in shop.rejected()[0][1]


def test_a_file_is_doubted_alone(shop: Any):
    shop.put("a.csv", file_of(["1.250", "7,5"]))
    shop.put("b.csv", file_of(["1.250", "7.5"]))

    assert [outcome.rejected for outcome in shop.load()] == [2, 0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1.250", True), (" -12.500 ", True), ("0.125", False), ("1.25", False), ("1250", False), ("1.250.000", False)],
)
def test_three_decimals_may_be_thousands(text: str, expected: bool):
    assert may_be_thousands(text) == expected


@pytest.mark.parametrize(
    ("text", "is_remarked"),
    [("1000.00245", True), ("-0.00001", True), ("1.5e-5", True), ("2000.005", False), ("-1.14e-13", False),
     ("1e3", False), ("12.34560000", False)],
)  # fmt: skip
def test_an_amount_that_loses_decimals_is_counted_with_an_example(text: str, is_remarked: bool):
    with duckdb.connect() as connection:
        connection.execute(parsing_macros())
        connection.execute(
            "create table staged as select * from (values ('a', 1, '5.5', null), ('a', 2, ?, '7'), ('b', 1, '1', '2')) "
            "as t(batch_id, source_row, premium, losses)",
            [text],
        )
        found = rounded_amounts(connection, "staged", ["premium", "losses"])

    words = f"1 amounts in premium with more than four decimals are rounded, such as {text}"
    assert found == ({"a": words} if is_remarked else {})
