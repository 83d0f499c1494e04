"""Launch the runs of Dagster's daemon and UI as forks of a process that has everything imported (`cli/warm_runs.py`).

Dagster's own launcher starts a new Python for each run, which takes three seconds to import Dagster and the
definitions. `dagster.yaml` names this class; where no such process is running, it launches as Dagster does.
"""

import json
import os
import signal
import socket
from pathlib import Path

from dagster import DefaultRunLauncher
from dagster._core.launcher import LaunchRunContext
from dagster._core.origin import JobPythonOrigin
from dagster._grpc.types import ExecuteRunArgs

from resources.run_marks import STARTED_BY, living, marks_folder

RUN_SERVER = "QUINTET_RUN_SERVER"
"""The environment variable with the address of the process that forks runs."""

_LONGEST_LOAD_SECONDS = 60.0


class ForkLauncher(DefaultRunLauncher):
    """Launches runs as forks of a warm process, and interrupts the process of a run to cancel it."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Launch a run; return when its process has begun."""
        run = context.dagster_run
        origin = run.job_code_origin
        if origin is None or not _is_forked(self._request(run.run_id, origin)):
            super().launch_run(context)

    def terminate(self, run_id: str) -> bool:
        """Interrupt the process that executes the run, and return whether there is one."""
        run = self._instance.get_run_by_id(run_id)
        process = living(marks_folder(Path(self._instance.root_directory))).get(run_id)
        if run is None or run.is_finished or process is None or STARTED_BY.items() <= run.tags.items():
            return super().terminate(run_id)
        self._instance.report_run_canceling(run)
        try:
            os.kill(process, signal.SIGINT)
        except ProcessLookupError:
            return False  # it has just ended
        return True

    def _request(self, run_id: str, origin: JobPythonOrigin) -> bytes:
        """Return a line with the run's id, the folder of its mark, and the argument of Dagster's command for it."""
        command = ExecuteRunArgs(origin, run_id, self._instance.get_ref(), True).get_command_args()
        marks = str(marks_folder(Path(self._instance.root_directory)))
        return json.dumps({"run_id": run_id, "marks": marks, "argument": command[-1]}).encode() + b"\n"


def _is_forked(request: bytes) -> bool:
    """Send a request to the warm process; return False if there is none, or if its code is outdated.

    It answers twice: when it can fork, and when the fork has begun. Without the first answer it forks nothing, so that
    no run is executed twice.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_LONGEST_LOAD_SECONDS)
        try:
            connection.connect(os.environ.get(RUN_SERVER, ""))
            if not connection.recv(1):
                return False
            connection.settimeout(None)
            connection.sendall(request)
            return bool(connection.recv(1))
        except OSError:
            return False
