"""A run is launched once: by the warm process if it can fork, else as Dagster does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher import LaunchRunContext

from resources.run_launcher import RUN_SERVER, ForkLauncher

_JOBS = """
import dagster as dg

def make_job():
    @dg.job
    def job(): ...
    return job
"""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp() as opened:
        yield opened


@contextmanager
def server(folder: Path, answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Yield the address of a server that answers one launcher."""
    address = str(folder / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield address
        thread.join()


def launches(folder: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Launch a run and return the ids of the runs that Dagster's own launcher has launched."""
    launcher, found = ForkLauncher(), []
    launcher.register_instance(instance)
    monkeypatch.setattr(
        dg.DefaultRunLauncher, "launch_run", lambda _, context: found.append(context.dagster_run.run_id)
    )

    (folder / "launched_jobs.py").write_text(_JOBS)
    source = dg.build_reconstructable_job("launched_jobs", "make_job", reconstructor_working_directory=str(folder))
    run = instance.create_run_for_job(source.get_definition(), job_code_origin=source.get_python_origin())
    launcher.launch_run(LaunchRunContext(run, workspace=None))
    return found


def forks(connection: socket.socket) -> None:
    connection.sendall(b"?")
    assert connection.makefile("rb").readline().startswith(b'{"run_id": ')
    connection.sendall(b"!")


def is_outdated(_: socket.socket) -> None:
    """Close the connection without an answer."""


def dies(connection: socket.socket) -> None:
    connection.sendall(b"?")
    connection.makefile("rb").readline()


@pytest.mark.parametrize(("answer", "by_dagster"), [(forks, 0), (is_outdated, 1), (dies, 1)])
def test_a_run_is_launched_once_whatever_the_warm_process_does(
    answer: Callable[[socket.socket], None],
    by_dagster: int,
    instance: dg.DagsterInstance,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with server(tmp_path, answer) as address:
        monkeypatch.setenv(RUN_SERVER, address)
        assert len(launches(tmp_path, instance, monkeypatch)) == by_dagster


@pytest.mark.parametrize("address", [None, "no/such/socket"])
def test_without_a_warm_process_dagster_launches(
    address: str | None, instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(RUN_SERVER, raising=False)
    if address is not None:
        monkeypatch.setenv(RUN_SERVER, address)
    assert len(launches(tmp_path, instance, monkeypatch)) == 1
