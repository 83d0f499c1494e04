"""`quintet run --engine spark` publishes what a run on this machine publishes."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from assets.lending import folding_of
from assets.promotions import gathering_of
from quintet.promotions.accounts import accounts_of
from quintet.promotions.evidence import gather
from quintet.promotions.profile import Population
from quintet.settings import Settings, load_settings
from tests.conftest import Quintet
from tests.unit.lending.random_logs import assert_same_states, changes_of, log_of
from tests.unit.promotions.equal_evidence import assert_equal
from tests.unit.promotions.warehouse_worlds import people

TABLES = ("fct_conversion_matches", "fct_unified_journeys", "fct_broker_rows")


def published(quintet: Quintet) -> list[list[tuple[object, ...]]]:
    with duckdb.connect(str(quintet.snapshot), read_only=True) as connection:
        return [connection.execute(f"from marts.{name} order by all").fetchall() for name in TABLES]


@pytest.fixture
def on_a_cluster(spark_remote: str, tmp_path: Path) -> Settings:
    """Return settings with the engine spark and small groups."""
    given = {"QUINTET_ENGINE": "spark", "QUINTET_SPARK_REMOTE": spark_remote, "QUINTET_SPARK_GROUP_ROWS": "1000"}
    return load_settings({"QUINTET_HOME": str(tmp_path / "home"), **given})


def test_a_cluster_gathers_the_same_evidence_of_accounts(on_a_cluster: Settings) -> None:
    accounts = accounts_of(people().users, people().usages)
    population = Population.of(accounts)

    assert_equal(gathering_of(on_a_cluster)(accounts, population), gather(accounts, population))


def test_a_cluster_folds_the_same_features_and_training_set(on_a_cluster: Settings, tmp_path: Path) -> None:
    with log_of(changes_of(1)) as (store, epoch):
        assert_same_states(store, epoch, folding_of(on_a_cluster), tmp_path)


def test_a_run_on_a_cluster_publishes_the_same_matches(project: Path, tmp_path: Path, spark_remote: str) -> None:
    raw = tmp_path / "raw"
    for dataset in ("conversions", "broker_rows", "page_categories"):
        shutil.copytree(project / "data" / "raw" / dataset, raw / dataset)
    here, there = Quintet(raw, tmp_path / "here"), Quintet(raw, tmp_path / "there")
    here.run("--select", "conversions")
    refused = there.run("--select", "conversions", "--engine", "spark", status=2)
    assert "the engine spark needs QUINTET_SPARK_REMOTE" in refused
    assert not (there.home / "serving").exists()

    there.environment["QUINTET_SPARK_REMOTE"] = spark_remote
    there.run("--select", "conversions", "--engine", "spark")

    assert published(there) == published(here)
    assert len(published(there)[0]) > 0
