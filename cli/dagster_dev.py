"""Run Dagster's code server, guarded UI and daemon with low priority: `python -m cli.dagster_dev PORT`.

First ends the runs of a dead daemon. `cli.services` starts it and holds the home's daemon lock. It does what `dagster
dev` does, which would serve the UI without the guard.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from dagster._cli.proxy_server_manager import ProxyServerManager
from dagster._core.workspace.load_target import WorkspaceFileTarget

from cli.dead_runs import release_dead_runs
from cli.home import PROJECT
from cli.supervisor import step_back
from cli.warm_runs import WarmRuns
from quintet.settings import load_settings
from resources.event_log import open_instance
from resources.warm_dbt import WarmDbt, warehouse_variables

_POLL_SECONDS = 0.5
_STOP_SECONDS = 2.5
"""Less than the supervisor leaves this process, which then closes what it has started itself."""


class PartEndedError(RuntimeError):
    """The UI or the daemon has ended by itself; the text says which one."""


def main(port: int) -> None:
    """Run until interrupted. Raises PartEndedError if the UI or the daemon ends by itself."""
    step_back()
    os.environ["DAGSTER_IS_DEV_CLI"] = "1"
    project, settings = PROJECT / "dbt_project", load_settings()
    variables = warehouse_variables(project, settings.warehouse, settings.memory_limit, settings.threads)
    target = WorkspaceFileTarget([str(PROJECT / "workspace.yaml")])
    with open_instance() as instance:
        release_dead_runs(instance)
        with (
            closing(WarmDbt(project, variables)),  # one for all runs, which find its address in their environment
            ProxyServerManager(instance, target, code_server_log_level="warning") as code,
            closing(WarmRuns()),  # after the code server, which the UI and the sensors wait for
            tempfile.TemporaryDirectory(prefix="quintet-dagster-") as folder,
        ):
            workspace = Path(folder) / "workspace.yaml"  # JSON is YAML
            workspace.write_text(json.dumps({"load_from": code.get_code_server_specs()}), "utf-8")
            run_side_by_side(commands(port, workspace))


def commands(port: int, workspace: Path) -> dict[str, list[str]]:
    """Return the commands of the UI and the daemon, by name."""
    return {
        "the UI": [sys.executable, "-m", "cli.dagster_ui", str(port), str(workspace)],
        "the daemon": [sys.executable, "-m", "cli.dagster_daemon", str(workspace)],
    }


def run_side_by_side(programs: Mapping[str, Sequence[str]]) -> None:
    """Run the programs until this process is interrupted. Raises PartEndedError if one ends by itself."""
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command in programs.items():
            running[name] = subprocess.Popen(command)
        while (ended := next((name for name, one in running.items() if one.poll() is not None), None)) is None:
            time.sleep(_POLL_SECONDS)
        raise PartEndedError(f"{ended} of Dagster has ended with status {running[ended].returncode}; see the log above")
    except KeyboardInterrupt:
        pass
    finally:
        for process in running.values():
            process.send_signal(signal.SIGINT)
        until = time.monotonic() + _STOP_SECONDS
        for process in running.values():
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))
