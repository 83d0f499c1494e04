"""The table of a benchmark and the verdict on it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.measure import HOLDS, MISSED, TABLES, Line, print_lines, run_and_watch

SLOW = Line("a request", "9 ms", "at most 5 ms", False, "theirs 12 ms")
LOST = Line("lost", "1 of 20", "0", False, is_exact=True)
FREE = Line("index", "2 s to build", "", True)


@pytest.mark.parametrize(
    ("options", "lines", "status"),
    [
        ([], [SLOW], MISSED),
        (["--quick"], [SLOW], HOLDS),
        (["--quick"], [SLOW, LOST], MISSED),
        ([], [FREE], HOLDS),
    ],
)
def test_a_quick_run_is_judged_by_exact_limits_alone(
    options: list[str], lines: list[Line], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", *options])
    monkeypatch.delenv(TABLES, raising=False)
    assert print_lines("Service", lines) == status


def test_the_table_is_printed_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(TABLES, str(tmp_path / "tables"))
    monkeypatch.setattr(sys, "argv", ["bench"])
    print_lines("Service", [SLOW, FREE])
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("Service (load", "9 ms", "at most 5 ms", "theirs 12 ms", "MISSED"))
    table = json.loads((tmp_path / "tables").read_text("utf-8"))
    assert [(line["figure"], line["verdict"]) for line in table["lines"]] == [("9 ms", "MISSED"), ("2 s to build", "")]


def test_the_memory_of_a_process_is_seen() -> None:
    code = "import time; held = b'x' * 200_000_000; time.sleep(0.3)"
    _, peak_mb = run_and_watch(["-c", code])
    assert 200 < peak_mb < 300


def test_a_process_that_fails_is_quoted() -> None:
    with pytest.raises(subprocess.CalledProcessError) as raised:
        run_and_watch(["-c", "exit('no memory')"])
    assert "no memory" in raised.value.output
