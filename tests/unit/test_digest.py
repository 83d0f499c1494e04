"""The digest of a table depends on its content and on nothing else."""

from __future__ import annotations

import duckdb
import pytest

from tests.digest import schema_digests, table_digest

ROWS = "('a', 1, timestamp '2024-05-01'), ('b', null, null), ('b', null, null)"


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def digest(connection: duckdb.DuckDBPyConnection, values: str, columns: str = "t, n, day") -> str:
    connection.execute(f"create or replace table things as select * from (values {values}) as v ({columns})")
    return table_digest(connection, "main.things")


def test_the_order_of_rows_does_not_matter(connection: duckdb.DuckDBPyConnection):
    turned = "('b', null, null), ('a', 1, timestamp '2024-05-01'), ('b', null, null)"

    assert digest(connection, ROWS) == digest(connection, turned)


@pytest.mark.parametrize(
    "other",
    [
        ROWS.replace("'a', 1", "'a', 2"),
        ROWS.replace("2024-05-01", "2024-05-01 00:00:00.000001"),
        ROWS.replace("('b', null", "('b', 0", 1),
        ROWS.replace("'a'", "' a'"),
        ROWS + ", ('b', null, null)",
        ROWS.removesuffix(", ('b', null, null)"),
    ],
)
def test_any_change_of_content_changes_the_digest(connection: duckdb.DuckDBPyConnection, other: str):
    assert digest(connection, ROWS) != digest(connection, other)


def test_missing_differs_from_texts_that_look_like_it(connection: duckdb.DuckDBPyConnection):
    cells = ["cast(null as varchar)", "'NULL'", "'null'", "''"]

    assert len({digest(connection, f"({cell})", "t") for cell in cells}) == 4


def test_a_cell_cannot_pretend_to_be_two(connection: duckdb.DuckDBPyConnection):
    assert digest(connection, "('a', 'b\",\"u\":\"c')", "t, u") != digest(connection, "('a\",\"u\":\"b', 'c')", "t, u")


def test_the_name_of_a_column_counts(connection: duckdb.DuckDBPyConnection):
    assert digest(connection, "('a')", "t") != digest(connection, "('a')", "u")


def test_numbers_that_are_none_have_a_digest_too(connection: duckdb.DuckDBPyConnection):
    values = ["'nan'::double", "'inf'::double", "'-inf'::double", "null::double"]

    assert len({digest(connection, f"({value})", "n") for value in values}) == 4


def test_an_empty_table_has_a_digest(connection: duckdb.DuckDBPyConnection):
    connection.execute("create table things (a integer)")

    assert len(table_digest(connection, "main.things")) == 32


def test_times_of_arrival_do_not_count(connection: duckdb.DuckDBPyConnection):
    assert digest(connection, "('a', 1)", "t, arrived_at") == digest(connection, "('a', 2)", "t, arrived_at")


def test_they_count_where_nothing_is_excluded(connection: duckdb.DuckDBPyConnection):
    digests = set()
    for at in (1, 2):
        digest(connection, f"('a', {at})", "t, arrived_at")
        digests.add(table_digest(connection, "main.things", exclude=()))

    assert len(digests) == 2


def test_every_table_and_view_of_a_schema_has_its_digest(connection: duckdb.DuckDBPyConnection):
    connection.execute(
        'create schema shop; create table shop."odd name" as select 1 as a; create view shop.v as select 1 as a'
    )

    digests = schema_digests(connection, "shop")

    assert list(digests) == ["odd name", "v"]
    assert digests["odd name"] == digests["v"]
