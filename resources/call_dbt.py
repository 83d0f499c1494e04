"""A call of dbt as a process: made by the run's warm dbt where there is one (`run_dbt.py`), else by this process.

Started by `Dbt` as a file, with the arguments of dbt and without the site packages, so that it costs 20 ms. What it
prints, its exit status and what an interrupt does are those of dbt.
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
    """Make the call; gives the exit status of dbt."""
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
    answer.read()  # until the call has ended and has let go of the warehouse
    if status:
        return int(status)
    print("the process of dbt has ended before its call did", file=sys.stderr)
    return 2


def _pass_interrupts_on_to(pid: int) -> None:
    """Send the first interrupt to the process of the call, and wait for it as before; a second one ends the wait."""

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # the signature of a handler
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(pid, signal.SIGINT)

    signal.signal(signal.SIGINT, interrupt)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
