"""Verdicts on pairs: the next matching keeps certain links and never links what a person refused."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import duckdb
import pandas as pd
import pytest

from quintet.conversions.fit import fit
from quintet.conversions.match import match, write_reasons
from quintet.conversions.matching_model import MatchingModel
from tests.integration.matching_worlds import DATA, make_world, open_world

World = tuple[pd.DataFrame, pd.DataFrame]
WITH_VERDICTS = replace(DATA, verdicts="verdicts")


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(600, 4, 1, offset_seconds=3_600)


@pytest.fixture(scope="module")
def model(world: World) -> MatchingModel:
    return fit(open_world(*world), DATA)


@pytest.fixture
def connection(world: World) -> duckdb.DuckDBPyConnection:
    connection = open_world(*world)
    connection.execute(
        "create table verdicts (verdict_id bigint, conversion_id bigint, broker_row_id varchar, is_link boolean)"
    )
    return connection


def matches(connection: duckdb.DuckDBPyConnection) -> dict[int, str]:
    rows = connection.execute("select conversion_id, broker_row_id from matching.matches where tier = 'matched'")
    return dict(rows.fetchall())


def give(connection: duckdb.DuckDBPyConnection, conversion: int, row: str, is_link: bool) -> None:
    connection.execute("insert into verdicts select count(*) + 1, ?, ?, ? from verdicts", [conversion, row, is_link])


def test_verdicts_are_kept_one_to_one_and_only_their_days_are_matched_again(
    connection: duckdb.DuckDBPyConnection, model: MatchingModel
) -> None:
    everything = match(connection, WITH_VERDICTS, model)
    before = matches(connection)
    (first, first_row), (second, second_row), *_ = sorted(before.items())
    give(connection, first, second_row, True)
    give(connection, second, second_row, False)
    run = match(connection, WITH_VERDICTS, model)
    after = matches(connection)
    assert 0 < run.blocks_rematched <= everything.blocks
    assert after[first] == second_row
    assert after.get(second) != second_row
    assert len(set(after.values())) == len(after)
    changed = {one for one in before if one not in (first, second) and after.get(one) != before[one]}
    assert len(changed) <= 2, "the others stay, but for who takes the row that became free"
    assert match(connection, WITH_VERDICTS, model).blocks_rematched == 0
    write_reasons(connection, WITH_VERDICTS, model)
    unmatched = connection.execute("select conversion_id from matching.unmatched_conversions").fetchall()
    assert first not in {one for (one,) in unmatched}
    assert (
        first_row in after.values()
        or connection.execute(
            "select 1 from matching.unmatched_broker_rows where broker_row_id = ?", [first_row]
        ).fetchall()
    )


def test_verdicts_give_the_same_matches_at_once_and_one_after_another_and_can_be_taken_back(
    connection: duckdb.DuckDBPyConnection, model: MatchingModel
) -> None:
    match(connection, WITH_VERDICTS, model)
    before = matches(connection)
    pairs = sorted(before.items())[:6]
    for (conversion, _), (_, row) in pairwise(pairs):
        give(connection, conversion, row, True)
        match(connection, WITH_VERDICTS, model)
    stepwise = matches(connection)
    connection.execute("drop schema matching cascade")
    match(connection, WITH_VERDICTS, model)
    assert matches(connection) == stepwise != before
    connection.execute("delete from verdicts")
    match(connection, WITH_VERDICTS, model)
    assert matches(connection) == before


def test_of_two_verdicts_that_contradict_each_other_the_later_one_is_kept(
    connection: duckdb.DuckDBPyConnection, model: MatchingModel
) -> None:
    match(connection, WITH_VERDICTS, model)
    (first, first_row), (second, second_row), *_ = sorted(matches(connection).items())
    give(connection, first, second_row, True)
    give(connection, first, first_row, True)
    give(connection, second, second_row, True)
    give(connection, second, second_row, False)
    match(connection, WITH_VERDICTS, model)
    after = matches(connection)
    assert after[first] == first_row
    assert after.get(second) != second_row
