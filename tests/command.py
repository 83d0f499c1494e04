"""Run Python programs in forks of a process that has already imported the slow packages.

A cold start takes 2 to 5 s of processor time, most of it to import Dagster and pandas. A program behaves the same.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import util
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TextIO

from tests.waiting import LONG_SECONDS

_PROJECT = Path(__file__).parents[1]
util.get_temp_dir()  # now, while the temporary folder is not that of a test, which is removed
_CONTEXT = multiprocessing.get_context("forkserver")
# none of them starts a thread of Python's, which a fork would lose; the project's own modules are imported after the
# fork
_CONTEXT.set_forkserver_preload(
    [
        "quintet",
        "resources.dagster_dbt",
        "altair",
        "scipy.stats",
        "sklearn.ensemble",
        "sklearn.linear_model",
        "psycopg",
        "rapidfuzz",
        "pandera.pandas",
        "fastapi",
        "uvicorn",
        "structlog",
    ]
)


class Python:
    """A running Python program, started like `python *arguments`: `-m module …` or `-c code …`.

    folder: its working folder, whose modules it imports. output: the file to which standard output and error are
    appended; by default both are read from `stdout`.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path = _PROJECT,
        output: Path | None = None,
    ) -> None:
        reads, writes = _CONTEXT.Pipe(duplex=False)
        self._process = _CONTEXT.Process(
            target=_become,
            args=(list(arguments), dict(environment), str(folder), writes if output is None else str(output)),
        )
        self._process.start()
        writes.close()
        self.stdout: TextIO = os.fdopen(os.dup(reads.fileno()), encoding="utf-8")
        reads.close()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status; below 0 the signal that ended the process, None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process; no effect if it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()

    def terminate(self) -> None:
        """End the process with SIGTERM."""
        self._process.terminate()

    def wait(self) -> int:
        """Wait for the end and return the exit status."""
        self._process.join(LONG_SECONDS)
        assert self.returncode is not None, f"process {self.pid} still runs after {LONG_SECONDS:.0f} s"
        return self.returncode

    def finish(self) -> str:
        """Wait for the end and return the unread output."""
        with self.stdout:
            printed = self.stdout.read()
        self.wait()
        return printed


class Command(Python):
    """A running `quintet` command."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        super().__init__(["-m", "cli", *arguments], environment)


def _become(arguments: list[str], environment: dict[str, str], folder: str, output: Connection | str) -> None:
    """Run the program in this process."""
    if isinstance(output, Connection):
        descriptor = output.fileno()
    else:
        descriptor = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    if isinstance(output, Connection):
        output.close()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    import tests.equal_priority.sitecustomize  # noqa: F401, PLC0415  # in this process alone
    from tests import prepared_cluster  # noqa: PLC0415

    if Path(folder) == _PROJECT:
        prepared_cluster.use_as_told()
    else:
        _import_from(folder)
    kind, program, *rest = arguments
    if kind == "-m":
        sys.argv = ["quintet" if program == "cli" else program, *rest]
        runpy.run_module(program, run_name="__main__")
    else:
        sys.argv = ["-c", *rest]
        exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})


def _import_from(folder: str) -> None:
    """Import the modules of another checkout from now on."""
    sys.path[:] = [folder, *(entry for entry in sys.path if Path(entry or folder) != _PROJECT)]
    for name in [name for name, module in sys.modules.items() if _is_of_project(module)]:
        del sys.modules[name]


def _is_of_project(module: object) -> bool:
    place = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", [])), None)
    return place is not None and Path(place).is_relative_to(_PROJECT) and not Path(place).is_relative_to(sys.prefix)
