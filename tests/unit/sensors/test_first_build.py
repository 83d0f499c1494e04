"""The first build: the first sensor that finds a file requests it for all inboxes, and the others wait for its end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from quintet.domains import DATASETS
from resources.clock import Clock
from resources.inboxes import Inboxes
from resources.paths import Paths
from sensors.first_build import FIRST_BUILD, is_building_first, is_first_build
from sensors.inboxes import build_inbox_sensor


class LaterClock(Clock):
    """A fixed moment, long after the files were written."""

    def now(self) -> dt.datetime:
        return dt.datetime(2036, 11, 30)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def tick(instance: dg.DagsterInstance, home: Path) -> dg.SensorResult | dg.SkipReason:
    """Return what the sensor of an inbox with a new file does."""
    inbox = home / "raw" / "page_categories"
    inbox.mkdir(parents=True, exist_ok=True)
    (inbox / "a.csv").write_text("page_category;measurement_category\nEducation;1\n")
    given = {
        "inboxes": Inboxes(raw=str(home / "raw"), settle_seconds=2.0),
        "clock": LaterClock(),
        "paths": Paths(home=str(home), report_page="a4"),
    }
    found = build_inbox_sensor(DATASETS["page_categories"])(dg.build_sensor_context(instance, resources=given))
    assert isinstance(found, dg.SensorResult | dg.SkipReason)
    return found


@dg.job
def a_job() -> None:
    """Do nothing."""


def test_the_first_file_of_a_new_home_starts_a_run_that_builds_everything(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    found = tick(instance, tmp_path)

    assert isinstance(found, dg.SensorResult)
    (request,) = found.run_requests or []
    assert (request.job_name, request.asset_selection) == ("everything", None)
    assert FIRST_BUILD.items() <= request.tags.items()


def test_inboxes_wait_for_the_first_build(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    instance.create_run_for_job(a_job, status=dg.DagsterRunStatus.STARTED, tags=FIRST_BUILD)

    assert is_building_first(instance)
    assert tick(instance, tmp_path) == dg.SkipReason("the first build loads every inbox")


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE])
def test_a_first_build_that_has_ended_is_not_requested_again(
    instance: dg.DagsterInstance, tmp_path: Path, status: dg.DagsterRunStatus
) -> None:
    """Also if it failed: the sensors then build what they can, a business at a time."""
    instance.create_run_for_job(a_job, status=status, tags=FIRST_BUILD)

    assert not is_building_first(instance)
    assert not is_first_build(instance, tmp_path)


def test_a_home_that_has_published_has_had_its_first_build(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    assert is_first_build(instance, tmp_path)
    (tmp_path / "current.duckdb").touch()

    assert not is_first_build(instance, tmp_path)
