"""A process that has imported what others need, and serves its parent and the parent's children at a socket."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


class WarmProcess:
    """The process, from `_start` until `close`. The environment variable `variable` has the address of its socket.

    The process reads its input, and ends when that is closed: with its parent, however the parent ends.
    """

    def __init__(self, variable: str) -> None:
        self._variable = variable
        self._folder: Path | None = None
        self.process: int | None = None
        """Its id; None where none was started."""

    def close(self) -> None:
        """End the process."""
        if self._folder is None:
            return
        os.environ.pop(self._variable, None)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.terminate()  # while it imports, it does not read its input
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    def _start(self, prefix: str, command: Callable[[int], Sequence[str]], **options: Any) -> None:
        """Start the process. prefix: of its folder's name; command: by the descriptor of the socket."""
        # private to this user; short, because the path of a socket must be
        self._folder = Path(tempfile.mkdtemp(prefix=prefix))
        address = str(self._folder / "socket")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen()
            descriptor = listener.fileno()
            self._process = subprocess.Popen(
                command(descriptor), stdin=subprocess.PIPE, pass_fds=[descriptor], **options
            )
        self.process = self._process.pid
        os.environ[self._variable] = address
