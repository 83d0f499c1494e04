"""The sensor of the change log: it asks for one run when enough has come, and waits otherwise."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from quintet.changelog.change import Position
from quintet.changelog.lake import compact
from quintet.changelog.log import Epoch, Store, Stretch, open_store, write_epoch, write_stretch
from quintet.settings import Settings, load_settings
from sensors import lending
from sensors.lending import watch_change_log
from tests.lending.events import change

_EPOCH = Epoch("E", Position(0), Position(1), "2020-01-01T00:00:00.000000Z", "1")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"QUINTET_HOME": str(tmp_path), "QUINTET_OBJECT_STORE_URL": f"file://{tmp_path}/log"})


def _write(settings: Settings, first: int, last: int) -> Store:
    assert settings.object_store_url is not None
    log = open_store(settings.object_store_url.get_secret_value())
    write_epoch(log, _EPOCH)
    for lsn in range(first, last):
        write_stretch(log, Stretch("E", Position(lsn), Position(lsn + 1)), [change(lsn, "user", lsn, {})])
    return log


def _evaluate(settings: Settings) -> dg.RunRequest | dg.SkipReason:
    result = watch_change_log(dg.build_sensor_context(), settings=settings)
    assert isinstance(result, dg.RunRequest | dg.SkipReason)
    return result


def test_it_waits_where_no_stream_has_written(settings: Settings, tmp_path: Path) -> None:
    assert isinstance(_evaluate(load_settings({"QUINTET_HOME": str(tmp_path)})), dg.SkipReason)
    assert isinstance(_evaluate(settings), dg.SkipReason)


def test_it_asks_once_for_a_run_when_enough_objects_wait(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lending, "MOST_OBJECTS", 3)
    _write(settings, 0, 2)
    assert isinstance(_evaluate(settings), dg.SkipReason)
    _write(settings, 2, 3)
    first = _evaluate(settings)
    assert isinstance(first, dg.RunRequest)
    _write(settings, 3, 4)
    assert _evaluate(settings) == first  # the same key: Dagster starts one run


def test_it_waits_again_after_a_compaction(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lending, "MOST_OBJECTS", 3)
    log = _write(settings, 0, 4)
    compact(log, _EPOCH)
    assert isinstance(_evaluate(settings), dg.SkipReason)
