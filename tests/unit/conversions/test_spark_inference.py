"""Matching on a Spark cluster gives the tables that matching in one process gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from quintet.conversions.fit import fit
from quintet.conversions.inference import infer_here
from quintet.conversions.match import match
from quintet.conversions.matching_model import MatchingModel
from quintet.conversions.spark_inference import GIVEN, infer_block, infer_on
from quintet.spark.groups import Cluster, SparkError
from tests.integration.matching_worlds import DATA, make_world, open_world
from tests.spark_server import sail

World = tuple[pd.DataFrame, pd.DataFrame]
TABLES = ("match_pairs", "match_blocks", "matches")


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(1_500, 8, 1, offset_seconds=3_600)


@pytest.fixture(scope="module")
def model(world: World) -> MatchingModel:
    return fit(open_world(*world), DATA)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("spark")
    with sail(folder / "log") as remote:
        yield Cluster(remote, folder / "exchange")


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


def test_a_worker_with_another_version_refuses(model: MatchingModel) -> None:
    with pytest.raises(SparkError, match="another version of Quintet"):
        infer_block(GIVEN.empty_table(), model.to_json(), "0123456789abcdef")
