"""Where the change log is: the bucket of the settings, the embedded store's folder, or nowhere yet."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from quintet.change_log.change import Position
from quintet.change_log.log import Epoch, Stretch, write_epoch, write_stretch
from quintet.change_log.place import find_log, last_day, latest_log, open_log
from quintet.settings import Settings, load_settings
from tests.unit.lending.events import change

EPOCH = Epoch("E", Position(0), Position(5), "2020-01-01T00:00:00.000000Z", "1", last_day="2020-08-23")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"QUINTET_HOME": str(tmp_path)})


def test_without_a_bucket_the_log_is_a_folder_of_the_home_once_it_is_written(settings: Settings) -> None:
    assert find_log(settings) is None
    assert latest_log(settings) is None
    write_epoch(open_log(settings), EPOCH)

    assert find_log(settings) is not None
    assert (settings.embedded_objects / "buckets").is_dir()


def test_the_bucket_of_the_settings_comes_first(settings: Settings, tmp_path: Path) -> None:
    write_epoch(open_log(settings), EPOCH)
    elsewhere = load_settings({"QUINTET_HOME": str(tmp_path), "QUINTET_OBJECT_STORE_URL": f"file://{tmp_path}/log"})

    assert latest_log(settings) is not None
    assert latest_log(elsewhere) is None


def test_the_latest_epoch_is_the_one_in_use(settings: Settings) -> None:
    log = open_log(settings)
    write_epoch(log, EPOCH)
    write_epoch(log, replace(EPOCH, name="F", completed_at="2020-02-01T00:00:00.000000Z", start=Position(9)))
    found = latest_log(settings)

    assert found is not None
    assert found[1].name == "F"


def test_the_last_day_is_that_of_the_dump_until_changes_are_streamed(settings: Settings) -> None:
    assert last_day(settings) is None
    log = open_log(settings)
    write_epoch(log, EPOCH)
    assert last_day(settings) == dt.date(2020, 8, 23)
    for start, end in ((0, 5), (5, 6)):
        row = change(start, "user", start, {"created_on": "2020-01-01", "birth_date": None})
        write_stretch(log, Stretch("E", Position(start), Position(end)), [row])

    assert last_day(settings) is None
