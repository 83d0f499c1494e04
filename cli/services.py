"""Dagster's UI and daemon as a supervised part, and `quintet dev`, which runs only this part."""

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
from cli.ui_token import create_token, ui_link
from quintet.settings import load_settings
from resources.run_marks import living, marks_folder

DAGSTER_PORT = 3000

_RUN_SECONDS = 2.5


def dagster_part(port: int, dagster_home: Path) -> Part:
    """Return the part with the UI and the daemon; it stops its runs before it stops itself."""
    return Part(
        "dagster",
        [sys.executable, "-m", "cli.dagster_dev", str(port)],
        stop_signal=signal.SIGINT,
        before_stop=lambda group: stop_runs(dagster_home, group),
    )


def stop_runs(dagster_home: Path, group: int) -> subprocess.Popen[bytes] | None:
    """Interrupt the runs that processes of the group execute, and kill those that have not ended after a while.

    Return the process that records the killed ones. If it is killed, the next command that starts records them.
    """
    folder = marks_folder(dagster_home)
    if not (runs := _of_group(folder, group)):
        return None
    until = time.monotonic() + _RUN_SECONDS
    for process in runs.values():
        _signal(process, signal.SIGINT)
    # started now because it takes seconds to start
    recorder = subprocess.Popen([sys.executable, "-m", "cli.dead_runs", str(_RUN_SECONDS)])
    while (runs := _of_group(folder, group)) and time.monotonic() < until:
        time.sleep(0.05)
    for process in runs.values():
        _signal(process, signal.SIGKILL)
    return recorder


def _of_group(folder: Path, group: int) -> dict[str, int]:
    """Return the process id of each run of a process group."""
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
    """Hold the home's daemon lock. Raises HomeError if another command runs a daemon of this home."""
    try:
        with daemon_lock(dagster_home):
            yield
    except BlockingIOError:
        raise HomeError(
            f"a Dagster daemon of {dagster_home} is already running; stop that `quintet dev` or `quintet up` first, or "
            "set QUINTET_HOME to another folder."
        ) from None


def dev(home: Path, port: int) -> int:
    """Run Dagster's UI and daemon until they are stopped."""
    dagster_home = Path(os.environ["DAGSTER_HOME"])
    settings = load_settings()
    need_free(settings.host, port, "the Dagster UI", "quintet dev --dagster-port 3001")
    with only_daemon(dagster_home), QuietLog(home / "logs", sys.stdout) as log:
        link = ui_link(settings.dagster_url or settings.local_url(port), create_token(dagster_home, os.urandom))
        print(f"Dagster UI: {link}\nin a few seconds; sensors and the daily schedule are on", flush=True)
        print(
            f"drop files into {os.environ['QUINTET_RAW']}; the full log is {home / 'logs' / 'dagster.log'}", flush=True
        )
        return Supervisor([dagster_part(port, dagster_home)], os.environ, log).run()
