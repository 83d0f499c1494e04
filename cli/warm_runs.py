"""Execute runs as forks of a process that has Dagster, the definitions and the steps' modules imported.

`cli.dagster_dev` starts it with `WarmRuns`; `resources/run_launcher.py` sends it the runs. Its program is
`python -m cli.warm_runs DESCRIPTOR`, with the descriptor of the socket that it listens on. Only Linux can fork it
safely; on other systems it is not started, and Dagster starts a new Python for each run.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dagster._cli.api import execute_run_command

from cli.dead_runs import end_dead_run
from cli.home import PROJECT
from resources.event_log import open_instance
from resources.run_launcher import RUN_SERVER
from resources.run_marks import hold_mark
from resources.warm_process import WarmProcess

_PROGRAM = "cli.warm_runs"
_CODE = ("assets", "cli", "quintet", "resources", "sensors")
_MODELS = ("models", "macros", "seeds", "tests")


class WarmRuns(WarmProcess):
    """A process that forks the runs of this process's children until `close`; runs that it has forked go on."""

    def __init__(self) -> None:
        super().__init__(RUN_SERVER)
        if sys.platform == "linux":
            self._start("quintet-runs-", lambda socket: [sys.executable, "-m", _PROGRAM, str(socket)], cwd=PROJECT)


def code_state(project: Path) -> dict[str, tuple[int, int]]:
    """Return the time and the size of each file that the definitions are made from."""
    folders = [*(project / name for name in _CODE), *(project / "dbt_project" / name for name in _MODELS)]
    files = [*project.glob("*.py"), *(project / "dbt_project").glob("*.yml")]
    for folder in folders:
        files += (path for path in folder.rglob("*") if "__pycache__" not in path.parts)
    state = {}
    for path in files:
        with suppress(FileNotFoundError):  # an editor's, gone meanwhile
            found = path.stat()
            state[str(path)] = (found.st_mtime_ns, found.st_size)
    return state


def serve(listener: socket.socket, owner: int) -> None:
    """Fork a process for each run that is requested, until the other end of `owner` is closed.

    When a file of the code has changed, refuse the run and start over, so that every run executes the code as it is.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner handles Ctrl-C and ends this process
    state = code_state(PROJECT)
    _load()
    while True:
        ready, _, _ = select.select([listener, owner], [], [])
        if owner in ready:
            shutil.rmtree(Path(listener.getsockname()).parent, ignore_errors=True)  # a killed owner leaves it
            return
        _reap()
        connection, _ = listener.accept()
        with connection:
            if code_state(PROJECT) != state:
                os.set_inheritable(listener.fileno(), True)
                os.execv(sys.executable, [sys.executable, "-m", _PROGRAM, str(listener.fileno())])
            request = _receive(connection)
            if request is not None and os.fork() == 0:
                listener.close()
                _keep(connection, request)


def _load() -> None:
    """Import and build what every run needs, without opening a database or starting a thread."""
    definitions = importlib.import_module("definitions")
    modules = importlib.import_module("assets.ahead").MODULES
    repository = definitions.defs().get_repository_def()
    repository.load_all_definitions()
    graph = repository.asset_graph
    for key in graph.get_all_asset_keys():
        for name in graph.get(key).metadata.get(modules, ()):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a fork's garbage collector would copy every page that it visits


def _receive(connection: socket.socket) -> Mapping[str, Any] | None:
    """Ask for the request, a line of JSON, and return it; None if the launcher is gone."""
    try:
        connection.sendall(b"?")
        line = connection.makefile("rb").readline()
    except OSError:
        return None
    return json.loads(line) if line.endswith(b"\n") else None


def _reap() -> None:
    """Reap the forks that have ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _keep(connection: socket.socket, request: Mapping[str, Any]) -> None:
    """Execute the run in a fork of this fork; if it is killed, record that. Never returns."""
    process = os.fork()
    if process == 0:
        _end(_execute(connection, request))
    connection.close()
    if os.waitpid(process, 0)[1]:
        with open_instance() as instance:
            end_dead_run(instance, request["run_id"])
    _end(0)


def _execute(connection: socket.socket, request: Mapping[str, Any]) -> int:
    """Mark the run, tell the launcher that it has begun, execute it, and return the exit status."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    hold_mark(Path(request["marks"]), request["run_id"])
    try:
        connection.sendall(b"!")
    except OSError:
        return 0  # the launcher is gone, and may have launched the run otherwise
    connection.close()
    try:
        execute_run_command.main([request["argument"]], standalone_mode=False)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def _end(status: int) -> None:
    """End a fork without tearing the interpreter down: everything is closed, and a teardown takes 0.1 s."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), sys.stdin.fileno())
