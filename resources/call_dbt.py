"""Run a dbt command as a process: in the run's warm dbt if there is one (`run_dbt.py`), else in this process.

`Dbt` starts this file with dbt's arguments and without site packages, so that it takes 20 ms. Output, exit status and
handling of interrupts are the same as for dbt.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from types import FrameType


def main(arguments: Sequence[str]) -> int:
    """Run the dbt command and return its exit status."""
    address = os.environ.get("QUINTET_DBT_SERVER")
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(address or "")
        except OSError:
            cold = os.path.join(os.path.dirname(__file__), "run_dbt.py")  # noqa: PTH118, PTH120  # pathlib takes 10 ms
            os.execv(sys.executable, [sys.executable, "-P", cold, *arguments])
        return _call(connection, arguments)


def _call(connection: socket.socket, arguments: Sequence[str]) -> int:
    request = {"arguments": list(arguments), "environment": dict(os.environ), "folder": os.getcwd()}  # noqa: PTH109
    data = json.dumps(request).encode() + b"\n"
    sent = socket.send_fds(connection, [data], [1, 2])
    connection.sendall(data[sent:])
    answer = connection.makefile("r")
    pid = answer.readline()
    if pid:
        _pass_interrupts_on_to(int(pid))
    status = answer.readline()
    answer.read()  # until the command has ended and released the warehouse
    if status:
        return int(status)
    print("the dbt process ended without an exit status; see dbt's log and run again", file=sys.stderr)
    return 2


def _pass_interrupts_on_to(pid: int) -> None:
    """Pass the first interrupt to the dbt process and keep waiting; a second interrupt ends the wait."""

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # the signature of a handler
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(pid, signal.SIGINT)

    signal.signal(signal.SIGINT, interrupt)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
