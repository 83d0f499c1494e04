"""The first build: requested once for all inboxes, and never beside another run or over a published snapshot."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from assets.jobs import EVERYTHING
from quintet.domains import DATASETS
from resources.clock import Clock
from resources.inboxes import Inboxes
from resources.paths import Paths
from sensors.first_build import FIRST_BUILD, build_first_build_sensor, is_building_first
from sensors.inboxes import build_inbox_sensor

NOW = dt.datetime(2026, 11, 30, 12)
SENSOR = build_first_build_sensor(
    ["page_categories", "loan_book"], dg.define_asset_job(EVERYTHING, dg.AssetSelection.all())
)


class FixedClock(Clock):
    """A fixed moment, long after the files were written."""

    def now(self) -> dt.datetime:
        return NOW + dt.timedelta(days=3_650)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A folder of inboxes, one of which has a file."""
    for name in ("page_categories", "loan_book"):
        (tmp_path / "raw" / name).mkdir(parents=True)
    (tmp_path / "raw" / "page_categories" / "a.csv").write_text("page_category;measurement_category\n")
    return tmp_path / "raw"


def tick(
    sensor: dg.SensorDefinition, instance: dg.DagsterInstance, raw: Path, cursor: str | None = None
) -> tuple[str, str | None]:
    """Return what a tick says, `requested` for a run, and its cursor."""
    resources = {
        "inboxes": Inboxes(raw=str(raw), settle_seconds=2.0),
        "clock": FixedClock(),
        "paths": Paths(home=str(raw.parent), report_page="a4"),
    }
    with dg.build_sensor_context(instance, cursor=cursor, resources=resources) as context:
        data = sensor.evaluate_tick(context)
    requests = data.run_requests or []
    assert all(request.tags[FIRST_BUILD] == "true" for request in requests)
    return ("requested" if requests else str(data.skip_message)), data.cursor


def test_files_in_inboxes_start_one_run_for_all_of_them(instance: dg.DagsterInstance, raw: Path) -> None:
    said, cursor = tick(SENSOR, instance, raw)

    assert said == "requested"
    assert tick(SENSOR, instance, raw, cursor)[0] == "the first build was requested before"


def test_without_files_nothing_starts(instance: dg.DagsterInstance, raw: Path) -> None:
    (raw / "page_categories" / "a.csv").unlink()

    assert tick(SENSOR, instance, raw)[0] == "every inbox is empty"


def test_over_a_snapshot_nothing_starts(instance: dg.DagsterInstance, raw: Path) -> None:
    serving = raw.parent / "serving"
    serving.mkdir()
    (serving / "current.duckdb").touch()

    assert tick(SENSOR, instance, raw)[0] == "something is published"


def test_beside_another_run_nothing_starts(instance: dg.DagsterInstance, raw: Path) -> None:
    instance.create_run_for_job(_job(), status=dg.DagsterRunStatus.STARTED)

    assert tick(SENSOR, instance, raw)[0] == "a run is in progress"


@pytest.mark.parametrize(
    ("status", "is_left"), [(dg.DagsterRunStatus.STARTED, True), (dg.DagsterRunStatus.FAILURE, False)]
)
def test_inboxes_are_left_to_the_first_build_until_it_has_ended(
    instance: dg.DagsterInstance, raw: Path, status: dg.DagsterRunStatus, is_left: bool
) -> None:
    instance.create_run_for_job(_job(), status=status, tags={FIRST_BUILD: "true"})
    (raw / "page_categories" / "a.csv").unlink()
    said, _ = tick(build_inbox_sensor(DATASETS["page_categories"]), instance, raw)

    assert is_building_first(instance) is is_left
    assert said == ("the first build loads every inbox" if is_left else "the inbox is unchanged")


def _job() -> dg.JobDefinition:
    @dg.job
    def a_job() -> None:
        pass

    return a_job
