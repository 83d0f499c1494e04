"""What is computed beside a build is what its steps ask for, and it ends with the build, however that ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from quintet import ahead
from quintet.conversions import pipeline_worlds
from quintet.payments import alert_tables
from tests.waiting import wait_until


def test_it_keeps_what_the_steps_of_the_domains_ask_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"figure": [1]})
    monkeypatch.setattr(alert_tables, "evaluate", lambda *_: (frame, frame))
    monkeypatch.setattr(pipeline_worlds, "measure_changes", lambda: frame)
    monkeypatch.setattr(pipeline_worlds, "compare_matchers", lambda: frame)

    ahead.main(tmp_path, "code", ["payments"])
    assert [path.name for path in tmp_path.glob("[!.]*")] == [ahead.EVALUATION]
    ahead.main(tmp_path, "code", ["insurance", "conversions"])

    monkeypatch.setattr(alert_tables, "evaluate", lambda *_: pytest.fail("it is there already"))
    monkeypatch.setattr(pipeline_worlds, "measure_changes", lambda: pytest.fail("it is there already"))
    assert set(alert_tables.kept_evaluation(tmp_path / ahead.EVALUATION, "code")) == set(alert_tables.EVALUATION_TABLES)
    assert len(pipeline_worlds.kept_changes(tmp_path / ahead.PIPELINE, "code")) == 2


def test_what_is_not_finished_when_the_build_ends_is_given_up(tmp_path: Path) -> None:
    with ahead.computed_ahead(tmp_path, "code", ["conversions"]):
        [process] = children(os.getpid(), "quintet.ahead")
    assert not is_running(process)


@pytest.mark.parametrize(
    ("domains", "is_started"), [(["conversions"], False), (["insurance"], False), (["conversions", "payments"], True)]
)
def test_where_all_is_there_no_process_is_started(tmp_path: Path, domains: list[str], is_started: bool) -> None:
    (tmp_path / ahead.PIPELINE / "code").mkdir(parents=True)
    with ahead.computed_ahead(tmp_path, "code", domains):
        assert bool(children(os.getpid(), "quintet.ahead")) == is_started


def test_it_ends_with_a_build_that_is_killed(tmp_path: Path, project: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from quintet.ahead import computed_ahead\n"
        "with computed_ahead(Path(sys.argv[1]), 'code', ['conversions']): time.sleep(600)"
    )
    build = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=project)
    found = wait_until(lambda: children(build.pid, "quintet.ahead"))
    build.kill()
    build.wait()
    wait_until(lambda: not is_running(found[0]))


def children(parent: int, module: str) -> list[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    lines = [line.split(None, 2) for line in listed.splitlines()]
    return [int(pid) for pid, ppid, arguments in lines if int(ppid) == parent and module in arguments.split()]


def is_running(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")
