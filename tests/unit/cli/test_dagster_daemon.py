"""A sensor is evaluated at once when its inbox has changed since its last tick, and otherwise after its interval."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cli import dagster_daemon
from cli.dagster_daemon import ChangedInboxes, is_waiting
from resources.inboxes import INBOX_TAG

NOW = 1_000.0


@pytest.fixture
def inboxes(tmp_path: Path) -> ChangedInboxes:
    (tmp_path / "transactions").mkdir()
    noticed = ChangedInboxes(tmp_path, lambda: NOW)
    assert not noticed.has_changed_since("transactions", 0)
    return noticed


def change(folder: Path) -> None:
    """Change the time of a folder as a new file does, however coarse the clock of the file system is."""
    (folder / "new.csv").touch()
    os.utime(folder, ns=(1, folder.stat().st_mtime_ns + 1))


def test_a_new_file_is_noticed_until_the_next_tick(inboxes: ChangedInboxes, tmp_path: Path) -> None:
    change(tmp_path / "transactions")
    assert inboxes.has_changed_since("transactions", NOW - 1)
    assert inboxes.has_changed_since("transactions", NOW - 1), "Dagster asks twice before a tick"
    assert not inboxes.has_changed_since("transactions", NOW + 1), "the tick has seen it"


def test_an_inbox_that_is_created_later_is_noticed(inboxes: ChangedInboxes, tmp_path: Path) -> None:
    assert not inboxes.has_changed_since("conversions", 0)
    (tmp_path / "conversions").mkdir()
    assert inboxes.has_changed_since("conversions", NOW - 1)
    assert not inboxes.has_changed_since("transactions", NOW - 1)


def waits(
    inboxes: ChangedInboxes, monkeypatch: pytest.MonkeyPatch, tags: Mapping[str, str], *, has_to_wait: bool = True
) -> bool:
    monkeypatch.setattr(dagster_daemon.sensor_loop, "get_elapsed", lambda _: 2.0)
    state, sensor = cast("Any", None), cast("Any", SimpleNamespace(tags=tags))
    return is_waiting(lambda *_: has_to_wait, inboxes, lambda: NOW, state, sensor)


def test_a_sensor_whose_inbox_has_changed_does_not_wait(
    inboxes: ChangedInboxes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = {INBOX_TAG: "transactions"}
    assert waits(inboxes, monkeypatch, watching)
    change(tmp_path / "transactions")
    assert not waits(inboxes, monkeypatch, watching)
    assert waits(inboxes, monkeypatch, {INBOX_TAG: "conversions"})
    assert waits(inboxes, monkeypatch, {})


def test_a_sensor_whose_interval_has_passed_does_not_wait(
    inboxes: ChangedInboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not waits(inboxes, monkeypatch, {INBOX_TAG: "transactions"}, has_to_wait=False)
