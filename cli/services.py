"""Dagster's UI and daemon as a supervised part, and `quintet dev`, which runs it alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cli.daemon_lock import daemon_lock
from cli.home import HomeError
from cli.ports import need_free
from cli.quiet_log import QuietLog
from cli.supervisor import Part, Supervisor
from resources.run_marks import living, marks_folder

DAGSTER_PORT = 3000

_RUN_SECONDS = 3.0
_RECORD_SECONDS = 7.0


def dagster_part(port: int, dagster_home: Path) -> Part:
    """The UI and the daemon; before they stop, the runs that they execute stop."""
    return Part(
        "dagster",
        [sys.executable, "-m", "cli.dagster_dev", str(port)],
        stop_signal=signal.SIGINT,
        before_stop=lambda group: stop_runs(dagster_home, group),
    )


def stop_runs(dagster_home: Path, group: int) -> None:
    """Stop the runs that processes of the group execute: interrupt them, kill what goes on, and record those."""
    folder = marks_folder(dagster_home)
    if not (runs := _of_group(folder, group)):
        return
    until = time.monotonic() + _RUN_SECONDS
    for process in runs.values():
        _signal(process, signal.SIGINT)
    # it takes seconds to begin, and so begins now
    recorder = subprocess.Popen([sys.executable, "-m", "cli.dead_runs", str(_RUN_SECONDS)])
    while (runs := _of_group(folder, group)) and time.monotonic() < until:
        time.sleep(0.05)
    for process in runs.values():
        _signal(process, signal.SIGKILL)
    try:
        recorder.wait(_RECORD_SECONDS - _RUN_SECONDS)
    except subprocess.TimeoutExpired:  # the next command that starts records them
        recorder.kill()
        recorder.wait()


def _of_group(folder: Path, group: int) -> dict[str, int]:
    """The runs of a process group, with their processes."""
    found = {}
    for run, process in living(folder).items():
        with suppress(ProcessLookupError):
            if os.getpgid(process) == group:
                found[run] = process
    return found


def _signal(process: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, number)


@contextmanager
def only_daemon(dagster_home: Path) -> Iterator[None]:
    """Be the only command that runs a daemon of the home. Raises HomeError where another one does."""
    try:
        with daemon_lock(dagster_home):
            yield
    except BlockingIOError:
        raise HomeError(
            f"a Dagster daemon of {dagster_home} runs already; stop that `quintet dev` or `quintet up` first, or name "
            "another folder in QUINTET_HOME."
        ) from None


def dev(home: Path, port: int) -> int:
    """Run Dagster's UI and daemon until it is stopped."""
    dagster_home = Path(os.environ["DAGSTER_HOME"])
    need_free(port, "the Dagster UI", "quintet dev --port 3001")
    with only_daemon(dagster_home), QuietLog(home / "logs", sys.stdout) as log:
        print(
            f"Dagster UI: http://127.0.0.1:{port} (in a few seconds); sensors and the daily schedule are on", flush=True
        )
        print(
            f"drop files into {os.environ['QUINTET_RAW']}; the full log is {home / 'logs' / 'dagster.log'}", flush=True
        )
        return Supervisor([dagster_part(port, dagster_home)], os.environ, log).run()
