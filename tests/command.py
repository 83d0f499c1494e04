"""Run the command `quintet` in a fork of a process that has already imported the slow packages.

A cold start takes 5 s of processor time, most of it to import Dagster. The command behaves the same.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

_PROJECT = Path(__file__).parents[1]
_CONTEXT = multiprocessing.get_context("forkserver")
# none of them starts a thread, which a fork would lose; the project's own modules are imported after the fork
_CONTEXT.set_forkserver_preload(
    [
        "resources.dagster_dbt",
        "altair",
        "scipy.stats",
        "sklearn.ensemble",
        "sklearn.linear_model",
        "psycopg",
        "rapidfuzz",
    ]
)


class Command:
    """A running `quintet` command; read its standard output and error from `stdout`."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        output, writes = _CONTEXT.Pipe(duplex=False)
        self._process = _CONTEXT.Process(target=_become, args=(list(arguments), dict(environment), writes))
        self._process.start()
        writes.close()
        self.stdout = os.fdopen(os.dup(output.fileno()), encoding="utf-8")
        output.close()

    @property
    def returncode(self) -> int | None:
        """The exit status; below 0 the signal that ended the process, None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        if self._process.pid is not None:
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()

    def finish(self) -> str:
        """Wait for the end and return the unread output."""
        with self.stdout:
            printed = self.stdout.read()
        self._process.join()
        return printed


def _become(arguments: list[str], environment: dict[str, str], output: Connection) -> None:
    """Run as the process of `python -m cli`."""
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    output.close()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(_PROJECT)
    sys.argv = ["quintet", *arguments]
    import tests.equal_priority.sitecustomize  # noqa: F401, PLC0415  # in this process alone
    from cli.__main__ import main  # noqa: PLC0415  # with the environment that it is to read
    from tests import prepared_cluster  # noqa: PLC0415

    prepared_cluster.use_as_told()
    main()
