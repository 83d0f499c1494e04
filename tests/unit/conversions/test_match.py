"""Matching with a trained model: one to one, idempotent, only changed days, and a reason for every row without one."""

from __future__ import annotations

from dataclasses import replace

import duckdb
import pandas as pd
import pytest

from quintet.conversions.fit import fit
from quintet.conversions.match import REASONS, match, placebo, write_reasons
from quintet.conversions.matching_model import MatchingModel
from tests.integration.matching_worlds import DATA, add_rows, make_world, open_world

World = tuple[pd.DataFrame, pd.DataFrame]


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(1_500, 8, 1, offset_seconds=3_600)


@pytest.fixture(scope="module")
def model(world: World) -> MatchingModel:
    return fit(open_world(*world), DATA)


def matches(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    return connection.execute("from matching.matches order by conversion_id").df()


def test_each_conversion_and_each_row_is_matched_at_most_once_and_mostly_rightly(
    world: World, model: MatchingModel
) -> None:
    connection = open_world(*world)
    match(connection, DATA, model)
    found = matches(connection)
    right = found["broker_row_id"].str.removeprefix("one-").astype(int) == found["conversion_id"]

    assert found["conversion_id"].is_unique
    assert found["broker_row_id"].is_unique
    assert right.mean() > 0.98
    assert len(found) > 0.9 * len(world[1])
    assert found["match_probability"].between(0, 1).all()


def test_a_second_run_matches_nothing_again_and_another_model_everything(world: World, model: MatchingModel) -> None:
    connection = open_world(*world)
    first = match(connection, DATA, model)
    found = matches(connection)
    second = match(connection, DATA, model)

    assert first.blocks_rematched == first.blocks == second.blocks
    assert second.blocks_rematched == 0
    pd.testing.assert_frame_equal(matches(connection), found)
    assert match(connection, DATA, replace(model, threshold=0.9)).blocks_rematched == first.blocks


def test_rows_that_arrive_late_give_the_matches_of_all_at_once(world: World, model: MatchingModel) -> None:
    conversions, rows = world
    is_late = rows["broker_at"].dt.date == rows["broker_at"].dt.date.mode()[0]
    connection = open_world(conversions, rows[~is_late])
    match(connection, DATA, model)
    add_rows(connection, conversions.head(0), rows[is_late])
    run = match(connection, DATA, model)
    at_once = open_world(*world)
    match(at_once, DATA, model)

    assert 0 < run.blocks_rematched < run.blocks
    pd.testing.assert_frame_equal(matches(connection), matches(at_once))


def test_a_run_that_fails_leaves_the_matches_as_they_were(
    world: World, model: MatchingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = open_world(*world)
    match(connection, DATA, model)
    found = matches(connection)
    with monkeypatch.context() as patch:
        patch.setattr("quintet.conversions.match._decide", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            match(connection, DATA, replace(model, threshold=0.9))

    pd.testing.assert_frame_equal(matches(connection), found)
    assert match(connection, DATA, model).blocks_rematched == 0


def test_every_row_of_either_side_has_a_match_or_one_known_reason(world: World, model: MatchingModel) -> None:
    conversions, rows = world
    stranger = rows.head(1).assign(broker_row_id="two-1", partner="two")
    long_after = rows["broker_at"].max() + pd.Timedelta(days=30)  # where no conversion of any country is a candidate
    nowhere = rows.head(1).assign(broker_row_id="one-none", ip_iso2=None, broker_at=long_after)
    connection = open_world(conversions, pd.concat([rows, stranger, nowhere]))
    match(connection, DATA, model)
    write_reasons(connection, DATA, model)

    for table, key, everything in (
        ("unmatched_conversions", "conversion_id", conversions["conversion_id"]),
        ("unmatched_broker_rows", "broker_row_id", [*rows["broker_row_id"], "two-1", "one-none"]),
    ):
        reasons = connection.execute(f"from matching.{table}").df()
        matched = connection.execute(f"select {key} from matching.matches where tier = 'matched'").df()[key]
        assert set(reasons["reason"]) <= set(REASONS)
        assert sorted([*reasons[key], *matched]) == sorted(everything)
    reasons = connection.execute("from matching.unmatched_broker_rows").df().set_index("broker_row_id")["reason"]
    assert reasons["two-1"] == "partner_not_learned"
    assert reasons["one-none"] == "country_unknown"


def test_conversions_that_are_moved_by_hours_match_hardly_any_row(world: World, model: MatchingModel) -> None:
    connection = open_world(*world)
    rates = placebo(connection, DATA, model, [5, -7])

    assert rates["hours"].tolist() == [5, -7]
    assert (rates["false_match_rate"] < 0.05).all()
    unmoved = placebo(connection, DATA, model, [0])
    assert unmoved["false_match_rate"].item() > 0.8
