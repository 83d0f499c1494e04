"""The sensor that shares what has changed."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from quintet.change_log.log import open_store
from quintet.settings import load_settings
from quintet.shared_files import latest
from quintet.shared_serving import SharedServingError
from sensors.shared_files import build_sharing_sensors


def tick(given: dict[str, str]) -> None:
    (sensor,) = build_sharing_sensors(load_settings(given))
    sensor.evaluate_tick(dg.build_sensor_context())


def test_it_shares_a_policy_that_a_person_has_changed_and_nothing_else_twice(tmp_path: Path) -> None:
    bucket, policy = f"file://{tmp_path}/bucket", tmp_path / "lending.toml"
    given = {"QUINTET_HOME": str(tmp_path), "QUINTET_LENDING_POLICY": str(policy), "QUINTET_SERVING_URL": bucket}
    for text in ("one", "two"):
        policy.write_text(text, "utf-8")
        for _ in range(2):
            tick(given)
    release = latest(open_store(bucket))
    assert release is not None
    assert release.number == 2


def test_a_bucket_that_is_away_fails_the_tick(tmp_path: Path) -> None:
    with pytest.raises(SharedServingError):
        tick({"QUINTET_HOME": str(tmp_path), "QUINTET_SERVING_URL": "http://key:secret@127.0.0.1:1/bucket"})


def test_there_is_none_without_a_bucket(tmp_path: Path) -> None:
    assert build_sharing_sensors(load_settings({"QUINTET_HOME": str(tmp_path)})) == ()
