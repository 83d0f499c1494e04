"""A home is backed up while it is written, wiped and restored; and a restore that cannot be whole changes nothing."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from quintet.backup.archive import BackupError
from quintet.backup.create import back_up, newer
from quintet.backup.in_use import HomeInUseError
from quintet.backup.restore import restore
from quintet.domains import MIGRATIONS, open_state_store
from quintet.promotions.store import Label, all_labels, record_label
from quintet.settings import Settings, load_settings
from quintet.state.features import FeatureStore
from quintet.state.keys import create_key, list_keys
from quintet.warehouse.database import open_warehouse
from quintet.warehouse.publish import publish
from quintet.warehouse.snapshot import current_snapshot, open_snapshot
from tests.command import Python

_NOW = dt.datetime(2026, 3, 4, 5, tzinfo=dt.UTC)
_KNOWN = {owner: len(scripts) for owner, scripts in MIGRATIONS.items()}
_LIMITS = {"memory_limit": "200MB", "threads": 1, "lock_wait_seconds": 20}


_BUILDS = """
import sys
import time
from pathlib import Path
from quintet.settings import load_settings
from tests.unit.backup.test_restore import _publish

for version in range(2, 10_000):  # until it is killed
    _publish(load_settings({"QUINTET_HOME": sys.argv[1]}), version)
    print("published", flush=True)
    time.sleep(0.5)  # the warehouse is free between two builds
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return the settings of a home with a published warehouse, a key, a label, features, a model and inboxes."""
    home = tmp_path / "home"
    (tmp_path / "policy.toml").write_text("[limits]", "utf-8")
    settings = load_settings(
        {
            "QUINTET_HOME": str(home),
            "QUINTET_RAW": str(home / "raw"),
            "QUINTET_LENDING_POLICY": str(tmp_path / "policy.toml"),
        }
    )
    (settings.raw / "loan_book").mkdir(parents=True)
    (settings.raw / "loan_book" / "book.sql").write_text("dump", "utf-8")
    (settings.models / "promotions").mkdir(parents=True)
    (settings.models / "promotions" / "m.json").write_text("{}", "utf-8")
    _publish(settings, 1)
    with closing(open_state_store(settings.online)) as store:
        create_key(store, "Ana", ["admin"], _NOW, bytes)
        record_label(store, Label("u-0", True, _NOW, "Ana"))
    with closing(FeatureStore(settings.online)) as features:
        features.keep("epoch", "E1")
    objects = settings.embedded_objects / "buckets" / "quintet"
    for key, text in {
        "changes/E1/a.jsonl.gz": "a",
        "epochs/E1.json": "{}",
        "epochs/E2.json": "{}",
        "lake/changes/p.parquet": "p",
        "lake/manifest-E1.json": json.dumps({"parts": [{"key": "lake/changes/p.parquet"}]}),
    }.items():
        (objects / key).parent.mkdir(parents=True, exist_ok=True)
        (objects / key).write_text(text, "utf-8")
    return settings


def _publish(settings: Settings, version: int) -> None:
    with open_warehouse(settings.warehouse, **_LIMITS) as connection:  # type: ignore[arg-type]
        connection.execute("create or replace table published.marts.numbers as select ? as version", [version])
        publish(
            connection,
            settings.serving,
            snapshot_id=f"run{version}",
            fingerprint="",
            published_at=_NOW.replace(tzinfo=None),
            kept=3,
        )


@contextmanager
def _under_load(settings: Settings) -> Iterator[None]:
    """Write labels, features and snapshots until the body ends."""
    ends, begun = threading.Event(), threading.Barrier(3)

    def write_labels() -> None:
        with closing(open_state_store(settings.online)) as store:
            number = 0
            while not ends.is_set():
                number += 1
                record_label(store, Label(f"u-{number}", True, _NOW, "Ana"))
                if number == 1:
                    begun.wait()

    def write_features() -> None:
        with closing(FeatureStore(settings.online)) as features:
            number = 0
            while not ends.is_set():
                number += 1
                with features.change() as draft:  # both or neither
                    draft.put_fact("position", str(number))
                    draft.put_row("loan", str(number), None, {"id": number})
                if number == 1:
                    begun.wait()

    builds = Python(["-c", _BUILDS, str(settings.home)], dict(os.environ))
    threads = [threading.Thread(target=work) for work in (write_labels, write_features)]
    try:
        assert builds.stdout.readline() == "published\n"
        for thread in threads:
            thread.start()
        begun.wait()
        yield
    finally:
        ends.set()
        builds.kill()
        builds.wait()
        for thread in threads:
            thread.join()


def _restore(settings: Settings, source: Path) -> list[str]:
    said: list[str] = []
    restore(settings, source, _KNOWN, _NOW, said.append)
    return said


def test_a_home_that_was_backed_up_under_load_is_restored_whole(settings: Settings, tmp_path: Path) -> None:
    with _under_load(settings):
        made = back_up(settings, tmp_path / "b.tar", _NOW, lambda _: None)
    shutil.rmtree(settings.home)
    _restore(settings, made.path)
    restored = [settings.home, *(path for path in settings.home.rglob("*") if path.is_file())]
    assert all(path.stat().st_mode & 0o077 == 0 for path in restored)
    with closing(open_state_store(settings.online)) as store:
        assert [key.name for key in list_keys(store)] == ["Ana"]
        labels = [label.user_id for label in all_labels(store)]
    assert labels == [f"u-{number}" for number in range(len(labels))]  # all before the backup, and no gap
    assert len(labels) >= 2
    with closing(FeatureStore(settings.online)) as features:
        position = int(features.fact("position") or 0)
        assert {int(key) for key in features.keys("loan")} == set(range(1, position + 1))
    with open_snapshot(current_snapshot(settings.serving)) as snapshot:
        (published,) = snapshot.execute("select version from marts.numbers").fetchall()
    with open_warehouse(settings.warehouse, **_LIMITS) as connection:  # type: ignore[arg-type]
        assert connection.execute("select version from marts.numbers").fetchall() == [published]
    assert (settings.models / "promotions" / "m.json").is_file()
    epochs = settings.embedded_objects / "buckets" / "quintet" / "epochs"
    assert [path.name for path in epochs.iterdir()] == ["E1.json"]  # the features know no later one


def test_a_restore_moves_the_home_aside_and_leaves_the_inboxes(settings: Settings, tmp_path: Path) -> None:
    made = back_up(settings, tmp_path / "b.tar", _NOW, lambda _: None)
    with closing(open_state_store(settings.online)) as store:
        record_label(store, Label("u-late", True, _NOW, "Ana"))
    done = restore(settings, made.path, _KNOWN, _NOW, lambda _: None)
    assert (settings.raw / "loan_book" / "book.sql").read_text("utf-8") == "dump"
    assert done.aside is not None
    for folder, labels in ((settings.online, 1), (done.aside / "online", 2)):
        with closing(open_state_store(folder)) as store:
            assert len(list(all_labels(store))) == labels
    assert done.policy is None


def test_a_restored_home_can_be_backed_up_and_restored_again(settings: Settings, tmp_path: Path) -> None:
    made = back_up(settings, tmp_path / "b.tar", _NOW, lambda _: None)
    (tmp_path / "policy.toml").write_text("[other]", "utf-8")
    done = restore(settings, made.path, _KNOWN, _NOW, lambda _: None)
    assert done.policy is not None
    assert done.policy.read_text("utf-8") == "[limits]"
    again = back_up(settings, tmp_path / "c.tar", _NOW, lambda _: None)
    restore(settings, again.path, _KNOWN, _NOW + dt.timedelta(hours=1), lambda _: None)


@pytest.mark.parametrize("lock", ["run.lock", "online/service.lock", "online/stream.lock"])
def test_a_home_in_use_is_refused(settings: Settings, tmp_path: Path, lock: str) -> None:
    made = back_up(settings, tmp_path / "b.tar", _NOW, lambda _: None)
    with (settings.home / lock).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(HomeInUseError, match="in use"):
            _restore(settings, made.path)
    _restore(settings, made.path)


def test_stores_of_a_newer_release_are_refused_and_the_home_is_unchanged(settings: Settings, tmp_path: Path) -> None:
    made = back_up(settings, tmp_path / "b.tar", _NOW, lambda _: None)
    before = sorted(settings.home.rglob("*"))
    older = _KNOWN | {"promotions": _KNOWN["promotions"] - 1}
    with pytest.raises(BackupError, match=r"tables of promotions in online/online\.sqlite.*unchanged"):
        restore(settings, made.path, older, _NOW, lambda _: None)
    assert set(settings.home.rglob("*")) - set(before) <= {settings.home / "run.lock"} | {
        settings.online / f"{name}.lock" for name in ("service", "stream")
    }
    assert not list(tmp_path.glob(".*restoring"))


@pytest.mark.parametrize(("found", "is_newer"), [("2.0.1", True), ("2.0.0", False), ("1.9.9", False), ("10.0.0", True)])
def test_versions_are_compared_by_number(found: str, is_newer: bool) -> None:
    assert bool(newer({"duckdb": found}, {"duckdb": "2.0.0"})) is is_newer


def test_a_backup_into_the_home_or_over_a_file_is_refused(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="in the home"):
        back_up(settings, settings.home / "b.tar", _NOW, lambda _: None)
    (tmp_path / "b.tar").touch()
    with pytest.raises(BackupError, match="never overwritten"):
        back_up(settings, tmp_path / "b.tar", _NOW, lambda _: None)
    with pytest.raises(BackupError, match="no home"):
        back_up(settings.model_copy(update={"home": tmp_path / "none"}), tmp_path / "c.tar", _NOW, lambda _: None)


def test_a_damaged_store_is_named_and_leaves_no_backup(settings: Settings, tmp_path: Path) -> None:
    (settings.online / "online.sqlite").write_bytes(b"SQLite format 3\x00" + b"\xff" * 5_000)
    with pytest.raises(BackupError, match=r"online\.sqlite cannot be copied"):
        back_up(settings, tmp_path / "b.tar", _NOW, lambda _: None)
    assert not list(tmp_path.glob("*b.tar*"))


def test_a_manifest_of_the_lake_whose_files_are_gone_is_refused(settings: Settings, tmp_path: Path) -> None:
    (settings.embedded_objects / "buckets/quintet/lake/changes/p.parquet").unlink()
    with pytest.raises(BackupError, match="names files that do not exist"):
        back_up(settings, tmp_path / "b.tar", _NOW, lambda _: None)


def test_every_store_has_known_migrations(settings: Settings, tmp_path: Path) -> None:
    """A store whose owner no domain declares would be refused as of a newer release."""
    made = back_up(settings, tmp_path / "b.tar", _NOW, lambda _: None)
    with sqlite3.connect(settings.online / "online.sqlite") as store:
        owners = {owner for (owner,) in store.execute("select owner from migrations")}
    assert owners <= set(_KNOWN)
    assert made.files > 5
