"""`quintet run --engine spark` publishes what a run on this machine publishes."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb

from tests.conftest import Quintet
from tests.spark_server import sail

TABLES = ("fct_conversion_matches", "fct_unified_journeys", "fct_broker_rows")


def published(quintet: Quintet) -> list[list[tuple[object, ...]]]:
    with duckdb.connect(str(quintet.snapshot), read_only=True) as connection:
        return [connection.execute(f"from marts.{name} order by all").fetchall() for name in TABLES]


def test_a_run_on_a_cluster_publishes_the_same_matches(project: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for dataset in ("conversions", "broker_rows", "page_categories"):
        shutil.copytree(project / "data" / "raw" / dataset, raw / dataset)
    here, there = Quintet(raw, tmp_path / "here"), Quintet(raw, tmp_path / "there")
    here.run("--select", "conversions")
    refused = there.run("--select", "conversions", "--engine", "spark", status=2)
    assert "the engine spark needs QUINTET_SPARK_REMOTE" in refused
    assert not (there.home / "serving").exists()

    with sail(tmp_path / "log") as remote:
        there.environment["QUINTET_SPARK_REMOTE"] = remote
        there.run("--select", "conversions", "--engine", "spark")

    assert published(there) == published(here)
    assert len(published(there)[0]) > 0
