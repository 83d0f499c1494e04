"""A mark is held as long as its process lives, and a living run never counts as dead."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from resources.run_marks import has_dead_marks, hold_mark, living, release_mark

HOLDS = """
import sys
from pathlib import Path
from resources.run_marks import hold_mark
hold_mark(Path(sys.argv[1]), 'r')
print(1, flush=True)
sys.stdin.read()
"""


def test_a_mark_has_the_process_that_executes_the_run(tmp_path: Path) -> None:
    hold_mark(tmp_path / "marks", "run")
    assert living(tmp_path / "marks") == {"run": os.getpid()}
    release_mark(tmp_path / "marks", "run")
    assert living(tmp_path / "marks") == {}
    assert not has_dead_marks(tmp_path / "marks")


def test_the_mark_of_a_killed_process_is_dead_and_a_living_process_keeps_its_own(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    assert living(tmp_path) == {"r": process.pid}
    assert not has_dead_marks(tmp_path)
    process.kill()
    process.communicate()
    assert has_dead_marks(tmp_path)
    assert living(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_what_another_process_holds_is_not_released(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    release_mark(tmp_path, "r")
    assert living(tmp_path) == {"r": process.pid}
    process.kill()
    process.communicate()
