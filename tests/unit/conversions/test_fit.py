"""Training a matching model: from the rows alone, in any order, and what the promotion gate asks of it."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import pytest

from quintet.conversions.fit import Training, fit, gate, halo_seconds, train
from quintet.conversions.matching_model import MatchingModel
from tests.integration.matching_worlds import DATA, make_world, minutes, open_world

MODEL = MatchingModel({}, ((0.0, 0.0), (1.0, 1.0)), threshold=0.5, chosen_come_true=1.0)


@pytest.fixture(scope="module")
def world() -> tuple[pd.DataFrame, pd.DataFrame]:
    return make_world(2_000, 10, 1, offset_seconds=7_200)


@pytest.fixture(scope="module")
def training(world: tuple[pd.DataFrame, pd.DataFrame]) -> Training:
    return train(open_world(*world), DATA)


def test_it_finds_the_clock_and_that_most_rows_have_a_conversion(training: Training) -> None:
    (partner,) = training.model.partners.values()

    assert [stretch.offset_seconds for stretch in partner.clock] == [7_200]
    assert partner.lag.horizon_seconds <= 60
    assert partner.row_link_share > 0.9
    assert 0 < training.model.threshold < 1


def test_nearly_all_rows_match_at_their_own_hours_and_nearly_none_at_others(training: Training) -> None:
    assert training.match_share > 0.95
    assert training.false_share < 0.05
    assert gate(training, training.model).passes


def test_the_order_of_the_rows_does_not_matter(world: tuple[pd.DataFrame, pd.DataFrame], training: Training) -> None:
    shuffled = (rows.sample(frac=1, random_state=3) for rows in world)

    assert fit(open_world(*shuffled), DATA).version == training.model.version


def test_other_rows_give_another_model(training: Training) -> None:
    assert fit(open_world(*make_world(2_000, 10, 2)), DATA).version != training.model.version


@pytest.mark.parametrize("missing", [0, 1])
def test_without_one_side_there_is_a_model_that_matches_nothing(
    world: tuple[pd.DataFrame, pd.DataFrame], missing: int
) -> None:
    sides = [rows.head(0) if side == missing else rows for side, rows in enumerate(world)]
    empty = train(open_world(*sides), DATA)

    assert (empty.match_share, empty.false_share) == (0, 0)


def test_rows_unrelated_to_the_conversions_match_few_at_any_hour() -> None:
    conversions, _ = make_world(2_000, 10, 1, lags=minutes)
    _, rows = make_world(2_000, 10, 9, lags=minutes)
    rows["broker_at"] = rows["broker_at"].sample(frac=1, random_state=4).to_numpy()
    unrelated = train(open_world(conversions, rows), DATA)

    assert unrelated.match_share < 0.3
    assert unrelated.match_share < 3 * unrelated.false_share + 0.05


def test_training_leaves_no_table(world: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    connection = open_world(*world)
    tables = "select table_name from duckdb_tables() order by 1"
    before = connection.execute(tables).fetchall()
    fit(connection, DATA)

    assert connection.execute(tables).fetchall() == before
    assert connection.execute("select count(*) from duckdb_views() where not internal").fetchall() == [(0,)]


@pytest.mark.parametrize(
    ("matched", "false", "current", "passes"),
    [
        (0.9, 0.004, MODEL, True),  # hardly any false match
        (0.0, 0.0, MODEL, True),  # matches nothing, and so nothing false
        (0.9, 0.3, MODEL, True),  # dense conversions: three times as many as at random
        (0.5, 0.3, MODEL, False),
        (0.02, 0.02, MODEL, False),
        (0.02, 0.02, None, True),  # there is no other
    ],
)
def test_the_gate_asks_for_clearly_more_matches_than_false_ones(
    matched: float, false: float, current: MatchingModel | None, passes: bool
) -> None:
    verdict = gate(Training(MODEL, matched, false), current)

    assert verdict.passes == passes
    assert f"{matched:.1%}" in verdict.why
    assert ("little better than chance" in verdict.why) == (matched == false != 0 or matched == 0.5)


@pytest.mark.parametrize(("horizon", "expected"), [(1, 7_200), (7_200, 7_200), (7_201, 10_800), (21_600, 21_600)])
def test_a_window_reaches_past_the_longest_lag_by_whole_hours(horizon: int, expected: int) -> None:
    assert halo_seconds(horizon) == expected


def test_a_row_of_no_known_country_does_not_disturb_training(world: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    conversions, rows = world
    unknown = rows.assign(ip_iso2=np.where(np.arange(len(rows)) % 10 == 0, None, rows["ip_iso2"]))
    connection: duckdb.DuckDBPyConnection = open_world(conversions, unknown)

    assert train(connection, DATA).match_share > 0.8
