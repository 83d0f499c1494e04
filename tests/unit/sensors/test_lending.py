"""The sensors of lending request one run for a new dump or enough new objects, and wait otherwise."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from quintet.change_log.change import Position
from quintet.change_log.lake import compact
from quintet.change_log.log import Epoch, ObjectStore, Stretch, open_store, write_epoch, write_stretch
from quintet.settings import Settings, load_settings
from resources.clock import Clock
from resources.inboxes import Inboxes
from resources.paths import Paths
from sensors import lending
from sensors.lending import watch_change_log, watch_loan_book
from tests.unit.lending.events import change

_EPOCH = Epoch("E", Position(0), Position(1), "2020-01-01T00:00:00.000000Z", "1")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"QUINTET_HOME": str(tmp_path), "QUINTET_OBJECT_STORE_URL": f"file://{tmp_path}/log"})


def _write(settings: Settings, first: int, last: int) -> ObjectStore:
    assert settings.object_store_url is not None
    log = open_store(settings.object_store_url.get_secret_value())
    write_epoch(log, _EPOCH)
    for lsn in range(first, last):
        write_stretch(log, Stretch("E", Position(lsn), Position(lsn + 1)), [change(lsn, "user", lsn, {})])
    return log


def _evaluate(settings: Settings) -> dg.RunRequest | dg.SkipReason:
    with dg.DagsterInstance.ephemeral() as instance:
        result = watch_change_log(dg.build_sensor_context(instance=instance), settings=settings, clock=Clock())
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


def _look_at_the_inbox(home: Path, seconds_later: float, cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
    later = dt.datetime.now(tz=dt.UTC) + dt.timedelta(seconds=seconds_later)
    with dg.DagsterInstance.ephemeral() as instance:
        result = watch_loan_book(
            dg.build_sensor_context(cursor=cursor, instance=instance),
            inboxes=Inboxes(raw=str(home), settle_seconds=60),
            paths=Paths(home=str(home)),
            clock=Clock(at=later.isoformat()),
        )
    assert isinstance(result, dg.SensorResult | dg.SkipReason)
    return result


def test_a_dump_is_asked_for_once_it_lies_still_and_not_again(tmp_path: Path) -> None:
    (tmp_path / "loan_book").mkdir()
    (tmp_path / "loan_book" / "book.sql").write_text("select 1;", "utf-8")
    growing = _look_at_the_inbox(tmp_path, 5)
    assert isinstance(growing, dg.SkipReason)
    assert "still being written: book.sql" in str(growing.skip_message)
    asked = _look_at_the_inbox(tmp_path, 120)
    assert isinstance(asked, dg.SensorResult)
    assert len(asked.run_requests or []) == 1
    again = _look_at_the_inbox(tmp_path, 180, asked.cursor)
    assert isinstance(again, dg.SkipReason)


def test_a_dump_that_the_snapshot_knows_is_not_asked_for(tmp_path: Path) -> None:
    (tmp_path / "loan_book").mkdir()
    (tmp_path / "loan_book" / "book.sql").write_text("select 1;", "utf-8")
    (tmp_path / "serving").mkdir()
    with duckdb.connect(str(tmp_path / "serving" / "1.duckdb")) as snapshot:
        snapshot.execute("create schema marts")
        snapshot.execute(
            "create table marts.ops_batches as select 'loan_book' as dataset, ? as content_sha256",
            [hashlib.sha256(b"select 1;").hexdigest()],
        )
    (tmp_path / "serving" / "current.duckdb").symlink_to("1.duckdb")
    known = _look_at_the_inbox(tmp_path, 120)
    assert isinstance(known, dg.SensorResult)
    assert not known.run_requests
