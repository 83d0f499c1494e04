"""A row that is lost on the way from the raw table to the mart is found."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from quintet.ingest.conservation import Path, rows_are_kept

PATH = Path("things", "staging.stg_things", "intermediate.int_things_current", "marts.fct_things")


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """Ten rows in two batches; the second batch replaces three rows of the first."""
    with duckdb.connect() as connection:
        for schema in ("raw", "staging", "intermediate", "marts"):
            connection.execute(f"create schema {schema}")
        connection.execute(
            "create table raw.things as select n % 7 as id, case when n < 7 then 'a' else 'b' end as _batch_id "
            "from range(10) r(n);"
            "create table staging.stg_things as from raw.things;"
            "create table intermediate.int_things_current as select id, max(_batch_id) as _batch_id "
            "from raw.things group by id;"
            "create table marts.fct_things as from intermediate.int_things_current"
        )
        yield connection


def test_rows_that_are_all_there_pass_with_their_numbers(connection: duckdb.DuckDBPyConnection) -> None:
    outcome = rows_are_kept(connection, [PATH])
    assert outcome.passed
    assert outcome.figures == {"things: loaded": 10, "things: current": 7, "things: mart": 7}


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        ("delete from staging.stg_things where _batch_id = 'b'", "1 batches of things differ"),
        ("insert into staging.stg_things values (1, 'c')", "1 batches of things differ"),
        ("delete from marts.fct_things where id = 3", "marts.fct_things has 6 rows"),
        ("insert into marts.fct_things from marts.fct_things", "marts.fct_things has 14 rows"),
        ("delete from intermediate.int_things_current; delete from marts.fct_things", "has 0 rows from 10"),
    ],
)
def test_a_lost_or_doubled_row_fails(connection: duckdb.DuckDBPyConnection, loss: str, reason: str) -> None:
    connection.execute(loss)
    outcome = rows_are_kept(connection, [PATH])
    assert not outcome.passed
    assert reason in outcome.description


def test_a_dataset_without_data_passes(connection: duckdb.DuckDBPyConnection) -> None:
    for table in ("raw.things", PATH.staged, PATH.current, PATH.mart):
        connection.execute(f"delete from {table}")
    assert rows_are_kept(connection, [PATH]).passed
