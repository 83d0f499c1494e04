"""The folder of a step is removed after it, and what killed runs left is removed by a later step."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from quintet.spark.folders import step_folder

DAY = 86_400


def left_by_a_killed_run(folder: Path, name: str, days_ago: float) -> Path:
    left = folder / name
    left.mkdir(parents=True)
    (left / "part-00000.parquet").write_text("ana@example.com")
    os.utime(left, times=(time.time() - days_ago * DAY,) * 2)
    return left


def test_a_step_has_a_folder_of_its_own_that_only_its_account_reads(tmp_path: Path) -> None:
    with step_folder(tmp_path / "new", "groups") as one, step_folder(tmp_path / "new", "groups") as other:
        assert one != other
        assert one.stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "new").iterdir()) == []


def test_a_step_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), step_folder(tmp_path, "groups") as made:
        (made / "given" / "missing").mkdir()
    assert list(tmp_path.iterdir()) == []


def test_rows_that_a_killed_run_left_are_removed_by_a_later_step(tmp_path: Path) -> None:
    abandoned = left_by_a_killed_run(tmp_path, "groups-1", 3)
    running = left_by_a_killed_run(tmp_path, "groups-2", 1)
    foreign = left_by_a_killed_run(tmp_path, "somebody's", 3)
    with step_folder(tmp_path, "groups"):
        assert not abandoned.exists()
    assert running.exists(), "it may be of a run on another machine"
    assert foreign.exists()
