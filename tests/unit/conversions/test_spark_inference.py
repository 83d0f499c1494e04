"""Matching on a Spark cluster gives the tables that matching in one process gives."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd
import pytest

from quintet.conversions.fit import fit
from quintet.conversions.inference import infer_here
from quintet.conversions.match import match
from quintet.conversions.matching_model import MatchingModel
from quintet.conversions.spark_inference import infer_on
from quintet.spark.faults import SparkError
from quintet.spark.groups import Cluster
from tests.groups_here import GroupsHere
from tests.integration.matching_worlds import DATA, make_world, open_world

World = tuple[pd.DataFrame, pd.DataFrame]
_MATCHED = "from matching.matches select block, conversion_id, broker_row_id, match_probability, tier order by all"
_REPEATED = (
    "select block, row_in_block, click_in_block from matching.match_pairs group by all having count(*) > 1 "
    "union all select block, row_in_block, null from matching.match_pairs group by all "
    "having count(distinct broker_row_id) > 1"
)
TABLES = ("match_pairs", "match_blocks", "matches")


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(1_500, 8, 1, offset_seconds=3_600)


@pytest.fixture(scope="module")
def model(world: World) -> MatchingModel:
    return fit(open_world(*world), DATA)


@pytest.fixture
def cluster(spark_remote: str, tmp_path: Path) -> Cluster:
    return Cluster(spark_remote, tmp_path)


def tables(connection: duckdb.DuckDBPyConnection) -> list[pd.DataFrame]:
    return [connection.execute(f"from matching.{name}").df() for name in TABLES]


def test_a_cluster_writes_the_same_tables_in_the_same_order(
    world: World, model: MatchingModel, cluster: Cluster
) -> None:
    here, there = open_world(*world), open_world(*world)
    match(here, DATA, model, inference=infer_here)
    run = match(there, DATA, model, inference=infer_on(cluster))

    assert run.blocks_rematched > 1
    for one, other in zip(tables(here), tables(there), strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert list(cluster.folder.iterdir()) == []


def test_nothing_to_match_asks_no_cluster(world: World, model: MatchingModel, tmp_path: Path) -> None:
    connection = open_world(*world)
    match(connection, DATA, model)
    away = infer_on(Cluster("sc://127.0.0.1:1", tmp_path))

    assert match(connection, DATA, model, inference=away).blocks_rematched == 0


def test_without_a_server_nothing_is_changed_and_the_message_says_what_to_do(
    world: World, model: MatchingModel, tmp_path: Path
) -> None:
    connection = open_world(*world)
    away = infer_on(Cluster("sc://127.0.0.1:1", tmp_path))

    with pytest.raises(SparkError, match=r"no Spark Connect server answers at 127\.0\.0\.1:1 .*--engine duckdb"):
        match(connection, DATA, model, inference=away)
    assert connection.execute("from matching.match_pairs").fetchall() == []
    assert list(tmp_path.iterdir()) == []


def test_a_block_with_more_rows_than_a_worker_holds_is_split(
    world: World, model: MatchingModel, tmp_path: Path
) -> None:
    conversions, rows = make_world(3_000, 1, 9)  # one day with more than all others
    hot = pd.concat([world[0], conversions]), pd.concat([world[1], rows])
    whole, here, there = (open_world(*hot) for _ in range(3))
    largest = 1_400
    match(whole, DATA, model)
    match(here, DATA, model, largest_block=largest)
    groups = GroupsHere(tmp_path, 1_000)
    match(there, DATA, model, inference=infer_on(groups), largest_block=largest)

    for one, other in zip(tables(here), tables(there), strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert whole.execute("select max(clicks + broker_rows) from matching.match_blocks").fetchall() > [(3 * largest,)]
    assert groups.most_rows <= largest


def test_matching_a_block_in_parts_gives_the_matches_of_the_block(world: World, model: MatchingModel) -> None:
    whole, parts = open_world(*world), open_world(*world)
    match(whole, DATA, model)
    match(parts, DATA, model, largest_block=250)

    [one, other] = (each.execute(_MATCHED).df() for each in (whole, parts))
    assert len(one) > 500
    pd.testing.assert_frame_equal(one, other, check_exact=False, atol=1e-2)
    assert parts.execute(_REPEATED).fetchall() == []
