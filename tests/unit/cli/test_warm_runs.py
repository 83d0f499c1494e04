"""A warm process executes runs in forks: they end as Dagster's own, also when they are killed, and on current code."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher import LaunchRunContext

from cli.warm_runs import WarmRuns, code_state
from resources.event_log import open_instance
from resources.run_launcher import RUN_SERVER
from resources.run_marks import hold_mark, living, marks_folder, release_mark
from tests.command import Python
from tests.waiting import wait_until

_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="runs are forked on Linux alone")

_ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)

_JOBS = """
import time
import dagster as dg

@dg.op(config_schema=str)
def step(context):
    context.log.info("begun")
    if context.op_config == "wait":
        time.sleep(3600)
    if context.op_config == "fail":
        raise ValueError("it fails")

def make_job():
    @dg.job(executor_def=dg.in_process_executor)  # as in the project
    def job():
        step()
    return job
"""

_SERVE = """
import os, socket, sys
from pathlib import Path
import cli.warm_runs as warm

warm.PROJECT, warm._load = Path(sys.argv[1]), lambda: None
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[2])
listener.listen()
warm.serve(listener, os.open(sys.argv[3], os.O_RDONLY))
"""


@pytest.fixture
def instance(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """Yield an instance with the project's configuration."""
    (tmp_path / "dagster.yaml").write_text((project / "dagster.yaml").read_text("utf-8"), "utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with open_instance() as opened:
        yield opened


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Python]:
    """Yield a warm process that has loaded nothing; it ends when its owner closes a pipe."""
    address, pipe, code = tmp_path / "warm" / "socket", tmp_path / "owner", tmp_path / "project"
    code.mkdir()
    address.parent.mkdir()
    os.mkfifo(pipe)
    process = Python(
        ["-c", _SERVE, str(code), str(address), str(pipe)],
        os.environ | {"DAGSTER_HOME": str(tmp_path)},
        output=tmp_path / "log",
    )
    with pipe.open("wb"):
        wait_until(lambda: _answers(address))
        monkeypatch.setenv(RUN_SERVER, str(address))
        yield process
    assert process.wait() == 0, (tmp_path / "log").read_text()
    assert not address.parent.exists()


def _answers(address: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(address))
        except OSError:
            return False
        return connection.recv(1) == b"?"


def launched(instance: dg.DagsterInstance, tmp_path: Path, does: str) -> dg.DagsterRun:
    """Launch a run that ends, fails or waits; the instance is the project's, so its launcher is too."""
    run = created(instance, tmp_path, does)
    instance.run_launcher.launch_run(LaunchRunContext(run, workspace=None))
    return run


def created(instance: dg.DagsterInstance, tmp_path: Path, does: str) -> dg.DagsterRun:
    (tmp_path / "warm_run_jobs.py").write_text(_JOBS)
    source = dg.build_reconstructable_job("warm_run_jobs", "make_job", reconstructor_working_directory=str(tmp_path))
    return instance.create_run_for_job(
        source.get_definition(),
        run_config={"ops": {"step": {"config": does}}},
        status=dg.DagsterRunStatus.STARTING,
        job_code_origin=source.get_python_origin(),
    )


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def ends_as(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    wait_until(lambda: status(instance, run) in _ENDED, lambda: instance.get_run_by_id(run.run_id))
    return status(instance, run)


def waiting(instance: dg.DagsterInstance, run: dg.DagsterRun) -> int:
    """Return the process of a run, once its step has begun."""
    wait_until(lambda: any(entry.message == "begun" for entry in instance.all_logs(run.run_id)))
    return living(marks_folder(Path(instance.root_directory)))[run.run_id]


@_LINUX
@pytest.mark.usefixtures("server")
def test_runs_end_as_they_would_in_a_process_of_their_own(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    assert ends_as(instance, launched(instance, tmp_path, "end")) is dg.DagsterRunStatus.SUCCESS
    assert ends_as(instance, launched(instance, tmp_path, "fail")) is dg.DagsterRunStatus.FAILURE
    wait_until(lambda: not living(marks_folder(tmp_path)))


@_LINUX
@pytest.mark.usefixtures("server")
def test_a_killed_run_is_recorded_as_failed_at_once(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    run = launched(instance, tmp_path, "wait")
    os.kill(waiting(instance, run), signal.SIGKILL)
    assert ends_as(instance, run) is dg.DagsterRunStatus.FAILURE


@_LINUX
@pytest.mark.usefixtures("server")
def test_a_run_is_canceled_by_its_launcher(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    run = launched(instance, tmp_path, "wait")
    process = waiting(instance, run)
    assert instance.run_launcher.terminate(run.run_id)
    assert ends_as(instance, run) is dg.DagsterRunStatus.CANCELED
    wait_until(lambda: not _is_alive(process))
    assert not instance.run_launcher.terminate(run.run_id)


@_LINUX
def test_a_run_is_refused_when_the_code_has_changed_and_the_next_one_executes_the_new_code(
    server: Python, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    (tmp_path / "project" / "definitions.py").write_text("changed = True")
    with pytest.raises(dg.DagsterInvariantViolationError, match="workspace"):  # Dagster's own launcher needs one
        launched(instance, tmp_path, "end")
    wait_until(lambda: b"cli.warm_runs" in Path(f"/proc/{server.pid}/cmdline").read_bytes())


@_LINUX
def test_a_run_whose_launcher_is_gone_is_left_as_it_is(
    server: Python, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    run = created(instance, tmp_path, "end")
    hold_mark(marks_folder(tmp_path), run.run_id)  # the fork waits for it
    request = {"run_id": run.run_id, "marks": str(marks_folder(tmp_path)), "argument": ""}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ[RUN_SERVER])
        assert connection.recv(1) == b"?"
        connection.sendall(json.dumps(request).encode() + b"\n")
    release_mark(marks_folder(tmp_path), run.run_id)
    wait_until(lambda: (children := _children(server.pid)) and all(_is_zombie(child) for child in children))
    assert status(instance, run) is dg.DagsterRunStatus.STARTING


def _children(process: int) -> list[str]:
    return Path(f"/proc/{process}/task/{process}/children").read_text().split()


def _is_zombie(process: str) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_state_of_the_code_changes_with_its_files_and_with_nothing_else(tmp_path: Path) -> None:
    for name in ("quintet/lending/model.py", "dbt_project/models/one.sql", "docs/text.md", "data/raw/file.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    before = code_state(tmp_path)
    (tmp_path / "docs" / "text.md").write_text("22")
    (tmp_path / "data" / "raw" / "file.csv").write_text("22")
    (tmp_path / "quintet" / "__pycache__").mkdir()
    (tmp_path / "quintet" / "__pycache__" / "model.pyc").write_text("1")
    assert code_state(tmp_path) == before
    (tmp_path / "dbt_project" / "models" / "one.sql").write_text("22")
    assert (changed := code_state(tmp_path)) != before
    (tmp_path / "quintet" / "lending" / "new.py").write_text("1")
    assert code_state(tmp_path) != changed


@_LINUX
def test_a_warm_process_ends_with_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUN_SERVER, raising=False)
    with closing(WarmRuns()) as warm:
        folder = Path(os.environ[RUN_SERVER]).parent
        assert warm.process is not None
        assert _is_alive(warm.process)
    assert not _is_alive(warm.process)
    assert not folder.exists()
    assert RUN_SERVER not in os.environ
