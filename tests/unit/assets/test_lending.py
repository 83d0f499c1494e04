"""Lending's assets by day: a run tells Dagster the days of the log that it wrote, and only those."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from assets.lending import APPLICATIONS, LAKE, lending_log
from quintet.changelog.change import Position
from quintet.changelog.log import Epoch, Store, Stretch, open_store, write_epoch, write_stretch
from quintet.settings import Settings, load_settings
from resources.clock import Clock
from tests.lending.events import change

_LOAN = {"client_id": 7, "amount": 9.0, "created_on": "2020-08-01", "status": "paid", "updated_on": "2020-08-20"}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"QUINTET_HOME": str(tmp_path), "QUINTET_OBJECT_STORE_URL": f"file://{tmp_path}/log"})


@pytest.fixture
def log(settings: Settings) -> Store:
    assert settings.object_store_url is not None
    store = open_store(settings.object_store_url.get_secret_value())
    write_epoch(store, Epoch("E", Position(0), Position(1), "2026-01-01T00:00:00.000000Z", "1"))
    return store


def _write(log: Store, first: int, days: list[str]) -> None:
    """An application on each day, from the place `first` on."""
    changes = [
        change(first + n, "loan", first + n, _LOAN)._replace(operation="insert", committed_at=f"{day}T10:00:00.000000Z")
        for n, day in enumerate(days)
    ]
    write_stretch(log, Stretch("E", Position(first), Position(first + len(days))), changes)


def _run(instance: dg.DagsterInstance, settings: Settings, day: str | None = None) -> tuple[list[str], list[str]]:
    """Materialise; the days that Dagster knows of both assets then."""
    resources = {"clock": Clock(), "settings": settings}
    assert dg.materialize([lending_log], instance=instance, resources=resources, partition_key=day).success
    lake, applications = (sorted(instance.get_materialized_partitions(key)) for key in (LAKE, APPLICATIONS))
    return lake, applications


def test_a_run_for_no_day_tells_the_days_it_wrote(instance: dg.DagsterInstance, settings: Settings, log: Store) -> None:
    _write(log, 0, ["2026-11-02", "2026-11-02", "2026-11-03"])
    assert _run(instance, settings) == (["2026-11-02", "2026-11-03"],) * 2
    (told,) = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=APPLICATIONS, asset_partitions=["2026-11-02"]), limit=5
    ).records
    assert told.asset_materialization is not None
    assert told.asset_materialization.metadata["dagster/row_count"].value == 2


def test_a_day_is_told_again_only_when_more_came_of_it(
    instance: dg.DagsterInstance, settings: Settings, log: Store
) -> None:
    _write(log, 0, ["2026-11-02"])
    _run(instance, settings)
    _write(log, 1, ["2026-11-03"])
    _run(instance, settings)
    for key in (LAKE, APPLICATIONS):
        found = dg.AssetRecordsFilter(asset_key=key, asset_partitions=["2026-11-02"])
        assert len(instance.fetch_materializations(found, limit=5).records) == 1


def test_a_run_for_a_day_takes_and_tells_the_other_days_too(
    instance: dg.DagsterInstance, settings: Settings, log: Store
) -> None:
    _write(log, 0, ["2026-11-02", "2026-11-03"])
    assert _run(instance, settings, "2026-11-03") == (["2026-11-02", "2026-11-03"],) * 2


def test_a_day_of_a_clock_that_was_set_back_is_taken_but_not_told(
    instance: dg.DagsterInstance, settings: Settings, log: Store
) -> None:
    _write(log, 0, ["2026-11-02", "1999-01-01"])
    assert _run(instance, settings) == (["2026-11-02"],) * 2


def test_without_a_log_there_are_no_days(instance: dg.DagsterInstance, settings: Settings) -> None:
    assert _run(instance, settings) == ([], [])
