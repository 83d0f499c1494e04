"""Run a contestant in a process of its own, to take turns with others, and exchange lines of JSON with it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from bench.comparators import comparator
from bench.measure import PROJECT, BenchError

_FOLDER = Path(__file__).parent
_SECONDS_TO_ANSWER = 300.0
_LINES_OF_LOG = 8


class Contestant:
    """A process that answers in lines of JSON (`field_answers.py`); it ends with the `with` block.

    Raises BenchError, with the last lines of its log, if it ends or does not answer in time.
    """

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._command, self._log = [*command], log
        self._received = b""

    @classmethod
    def of_field(cls, name: str, script: str, folder: Path) -> Contestant:
        """Return the script `field_<script>.py` in a comparator's environment. Raises MissingError if there is none."""
        python = comparator(name) / "python"
        return cls([str(python), str(_FOLDER / f"field_{script}.py"), str(folder)], folder / f"{script}.log")

    @classmethod
    def of_project(cls, module: str, folder: Path) -> Contestant:
        """Return the module `bench.<module>` in the project's environment."""
        return cls([sys.executable, "-m", f"bench.{module}", str(folder)], folder / f"{module}.log")

    def __enter__(self) -> Self:
        """Start the process."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0
            )
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def ask(self, question: object) -> Any:
        """Send a line of JSON and return the answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
        except BrokenPipeError:
            raise self._failure("ended") from None
        return self.answer()

    def answer(self) -> Any:
        """Return the next line that the process writes."""
        assert self._process.stdout is not None
        until = time.monotonic() + _SECONDS_TO_ANSWER
        while b"\n" not in self._received:
            if not select.select([self._process.stdout], [], [], max(until - time.monotonic(), 0))[0]:
                raise self._failure(f"did not answer within {_SECONDS_TO_ANSWER:.0f} s")
            part = os.read(self._process.stdout.fileno(), 1 << 20)
            if not part:
                raise self._failure("ended")
            self._received += part
        line, _, self._received = self._received.partition(b"\n")
        return json.loads(line)

    def _failure(self, what: str) -> BenchError:
        lines = self._log.read_text("utf-8", errors="replace").splitlines()[-_LINES_OF_LOG:]
        return BenchError("\n  ".join([f"{self._log.stem} {what}", *lines]))
