"""A run without a partition compacts and settles lending's change log, whatever its days."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from assets.lending import lending_log
from definitions import build_defs
from quintet.change_log.change import Position
from quintet.change_log.log import Epoch, ObjectStore, Stretch, open_store, write_epoch, write_stretch
from quintet.settings import Settings, load_settings
from resources.clock import Clock
from resources.paths import Paths
from tests.unit.lending.events import change

_LOAN = {"client_id": 7, "amount": 9.0, "created_on": "2020-08-01", "status": "paid", "updated_on": "2020-08-20"}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"QUINTET_HOME": str(tmp_path), "QUINTET_OBJECT_STORE_URL": f"file://{tmp_path}/log"})


@pytest.fixture
def log(settings: Settings) -> ObjectStore:
    assert settings.object_store_url is not None
    store = open_store(settings.object_store_url.get_secret_value())
    write_epoch(store, Epoch("E", Position(0), Position(1), "2026-01-01T00:00:00.000000Z", "1"))
    return store


def _write(log: ObjectStore, first: int, days: list[str]) -> None:
    """Write an application on each day, from the position `first` on."""
    changes = [
        change(first + n, "loan", first + n, _LOAN)._replace(operation="insert", committed_at=f"{day}T10:00:00.000000Z")
        for n, day in enumerate(days)
    ]
    write_stretch(log, Stretch("E", Position(first), Position(first + len(days))), changes)


def _run(instance: dg.DagsterInstance, settings: Settings) -> dict[str, dict[str, object]]:
    """Materialise without choosing a partition, and return the metadata of both assets."""
    resources = {"clock": Clock(), "paths": Paths(home=str(settings.home)), "settings": settings}
    result = dg.materialize([lending_log], instance=instance, resources=resources)
    assert result.success
    return {
        event.asset_key.path[-1]: {name: value.value for name, value in event.materialization.metadata.items()}
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }


def test_a_run_compacts_and_settles_what_came_on_any_day(
    instance: dg.DagsterInstance, settings: Settings, log: ObjectStore
) -> None:
    _write(log, 0, ["2026-11-02", "2026-11-02", "2026-11-03", "1999-01-01"])
    metadata = _run(instance, settings)
    assert metadata["lending_changes"]["dagster/row_count"] == 4
    assert metadata["lending_changes"]["days written"] == "1999-01-01, 2026-11-02, 2026-11-03"
    assert metadata["lending_applications"]["applications settled"] == 4


def test_a_second_run_settles_only_what_is_new(
    instance: dg.DagsterInstance, settings: Settings, log: ObjectStore
) -> None:
    _write(log, 0, ["2026-11-02"])
    _run(instance, settings)
    _write(log, 1, ["2026-11-03"])
    metadata = _run(instance, settings)
    assert metadata["lending_changes"]["days written"] == "2026-11-03"
    assert metadata["lending_applications"]["applications settled"] == 1


def test_without_a_log_there_is_nothing_to_settle(instance: dg.DagsterInstance, settings: Settings) -> None:
    assert _run(instance, settings)["lending_applications"]["applications settled"] == 0


def test_no_asset_of_the_project_has_partitions() -> None:
    """So that "Materialize all" in the UI asks for none."""
    graph = build_defs().resolve_asset_graph()
    assert {key for key in graph.get_all_asset_keys() if graph.get(key).partitions_def is not None} == set()
