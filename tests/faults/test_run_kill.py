"""A run that was killed blocks nothing: `make bench NAME=kills` does this with every command, at random moments."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import dagster as dg
import pytest

from resources.event_log import open_instance
from resources.run_marks import living, marks_folder
from resources.warehouse import POOL
from tests.conftest import Quintet


def after_its_first_step(quintet: Quintet, number: signal.Signals) -> int:
    """Start a run, send the signal to it after its first step; its exit status."""
    process = quintet.start("--select", "payments")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("  ") and line.rstrip().endswith("s)"):
            break
    process.send_signal(number)
    process.communicate(timeout=60)
    return process.returncode


def test_after_a_kill_the_next_run_begins_and_no_run_stays_open(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quintet = Quintet(project / "data" / "raw", tmp_path)
    assert after_its_first_step(quintet, signal.SIGKILL) == -signal.SIGKILL
    assert after_its_first_step(quintet, signal.SIGTERM) == 128 + signal.SIGTERM
    assert after_its_first_step(quintet, signal.SIGINT) == 128 + signal.SIGINT

    until = time.monotonic() + 20
    while living(marks_folder(tmp_path / "dagster")) and time.monotonic() < until:
        time.sleep(0.1)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    with open_instance() as instance:
        statuses = [run.status for run in instance.get_runs()]
        info = instance.event_log_storage.get_concurrency_info(POOL)
    assert len(statuses) == 3
    assert set(statuses) <= {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
    assert (info.active_slot_count, info.pending_steps) == (0, [])
