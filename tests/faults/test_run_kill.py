"""A killed run blocks nothing; `make bench NAME=kills` tests every command, at random moments."""

from __future__ import annotations

import signal
from pathlib import Path

import dagster as dg
import pytest

from resources.event_log import open_instance
from resources.run_marks import living, marks_folder
from resources.warehouse import POOL
from tests.conftest import Quintet
from tests.waiting import wait_until


def after_its_first_step(quintet: Quintet, number: signal.Signals) -> int | None:
    """Start a run, send it the signal after its first step, and return its exit status."""
    process = quintet.start("--select", "payments")
    for line in process.stdout:
        if line.startswith("  ") and line.rstrip().endswith("s)"):
            break
    process.send_signal(number)
    process.finish()
    return process.returncode


def test_after_a_kill_the_next_run_starts_and_no_run_stays_open(
    tmp_path: Path,
    built: Quintet,  # results that depend on the code alone are copied from there
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quintet = Quintet(built.raw, tmp_path)
    assert after_its_first_step(quintet, signal.SIGKILL) == -signal.SIGKILL
    assert after_its_first_step(quintet, signal.SIGTERM) == 128 + signal.SIGTERM
    assert after_its_first_step(quintet, signal.SIGINT) == 128 + signal.SIGINT

    wait_until(lambda: not living(marks_folder(tmp_path / "dagster")))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    with open_instance() as instance:
        statuses = [run.status for run in instance.get_runs()]
        info = instance.event_log_storage.get_concurrency_info(POOL)
    assert len(statuses) == 3
    assert set(statuses) <= {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
    assert (info.active_slot_count, info.pending_steps) == (0, [])
