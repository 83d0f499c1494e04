"""Kill `quintet run`, `dev`, `up` and a run of the Dagster UI at random moments; a kill must not block the next run.

`--quick` kills `quintet run` once at its start, in a home that has the results that depend on the code alone. For each
command and signal the table shows how long the command took to end, how many of its processes were left, and how long
the next `quintet run` took to start its work, beside the time without a kill.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.measure import Line, options, print_lines
from cli.ui_token import read_token
from quintet.embedded.processes import free_port
from resources.run_marks import living, marks_folder

USUALLY = "25 min"

_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_COMMANDS = ("run", "dev", "up", "ui")
_END_SECONDS = 10.0
_BEGIN_SECONDS = 10.0
_PATIENCE_SECONDS = 300.0
_LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) { __typename }
}
"""


@dataclass(frozen=True)
class Kill:
    """A kill and its outcome, in seconds. begins: from the start of the next run until a step reports."""

    command: str
    signal: signal.Signals
    after: float
    ended: float
    left: int
    begins: float


class World:
    """A separate home with free ports."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.dagster_port = free_port()
        self._environment = {name: text for name, text in os.environ.items() if not name.startswith("QUINTET_")} | {
            "QUINTET_HOME": str(home),
            "QUINTET_PORT": str(free_port()),
            "QUINTET_STREAM_PORT": "0",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a `quintet` command."""
        return subprocess.Popen(
            [sys.executable, "-m", "cli", *arguments],
            env=self._environment,
            stdout=subprocess.PIPE if arguments[0] == "run" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def processes(self) -> set[int]:
        """Return the processes that run for this home."""
        sign, found = f"QUINTET_HOME={self.home}\0".encode(), set()
        for process in Path("/proc").iterdir():
            try:
                lives = process.name.isdigit() and sign in (process / "environ").read_bytes()
            except OSError:
                continue
            if lives:
                found.add(int(process.name))
        return found

    def begin_a_run(self) -> float:
        """Start a run, stop it once its first step has begun, and return the seconds until then."""
        began = time.monotonic()
        process = self.start("run")
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("  ") or "up to date" in line:  # a step reports
                break
        seconds = time.monotonic() - began
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=_PATIENCE_SECONDS)
        return seconds

    def launch(self) -> int:
        """Start a run through the webserver and return the process that executes it."""
        params = {
            "selector": {
                "repositoryLocationName": "definitions:defs",
                "repositoryName": "__repository__",
                "pipelineName": "everything",
            },
            "mode": "default",
        }
        body = json.dumps({"query": _LAUNCH, "variables": {"params": params}}).encode()
        url = f"http://127.0.0.1:{self.dagster_port}/graphql"
        _until(lambda: "LaunchRunSuccess" in _answer(url, body, self._token()))
        marks = marks_folder(self.home / "dagster")
        _until(lambda: bool(living(marks)))
        return next(iter(living(marks).values()))

    def _token(self) -> str:
        try:
            return read_token(self.home / "dagster")
        except FileNotFoundError:  # `quintet dev` is still starting
            return ""


def try_kill(world: World, command: str, number: signal.Signals, after: float) -> Kill:
    """Start a command, kill it after some seconds, and return the outcome."""
    ports = ["--dagster-port", str(world.dagster_port)]
    arguments = {"run": ["run"], "dev": ["dev", *ports], "up": ["up", *ports], "ui": ["dev", *ports]}[command]
    process = world.start(*arguments)
    try:
        return _kill(world, command, process, number, after)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(_PATIENCE_SECONDS)


def _kill(world: World, command: str, process: subprocess.Popen[str], number: signal.Signals, after: float) -> Kill:
    victim = world.launch() if command == "ui" else process.pid
    time.sleep(after)
    began = time.monotonic()
    with suppress(ProcessLookupError):  # the run had already ended
        os.kill(victim, number)
    if command == "ui":
        _until(lambda: victim not in living(marks_folder(world.home / "dagster")).values())
        ended = time.monotonic() - began
        begins = world.begin_a_run()
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=_PATIENCE_SECONDS)
    if command != "ui":
        ended = time.monotonic() - began
    while (left := world.processes()) and time.monotonic() - began < _END_SECONDS:
        time.sleep(0.1)
    if command != "ui":
        begins = world.begin_a_run()
    return Kill(command, number, after, ended, len(left), begins)


def main() -> int:
    """Kill and print the table; return the exit status of a benchmark."""
    parser = options("kills", __doc__)
    parser.add_argument("--kills", type=int, default=20, help="how many; commands and signals take turns")
    parser.add_argument("--seed", type=int, default=7, help="the same seed kills at the same moments")
    parser.add_argument("--commands", default=",".join(_COMMANDS), help="which commands, separated by commas")
    given = parser.parse_args()
    draw = random.Random(given.seed)
    commands, count = (["run"], 1) if given.quick else (given.commands.split(","), given.kills)
    latest = {"run": 1.5 if given.quick else 25.0, "dev": 25.0, "up": 45.0, "ui": 20.0}
    with tempfile.TemporaryDirectory(prefix="quintet-kills-") as folder:
        Path(folder).chmod(0o711)
        usual = World(Path(folder) / "home").begin_a_run()
        kills = []
        for place in range(count):
            command = commands[place % len(commands)]
            number = _SIGNALS[(place // len(commands)) % len(_SIGNALS)]
            world = World(Path(folder) / f"home_{place}")  # nothing is built, so that there is work to kill
            kills.append(try_kill(world, command, number, draw.uniform(0.2, latest[command])))
            print(f"{place + 1} of {count}: {kills[-1]}", file=sys.stderr, flush=True)
    return print_lines(f"Kills; without one a run begins its work after {usual:.1f} s", lines_of(kills, usual))


def lines_of(kills: Sequence[Kill], usual: float) -> list[Line]:
    """Return the lines of the kills with their limits. usual: seconds until a run starts its work without a kill."""
    lines = []
    for kill in kills:
        name = f"{kill.command}, {kill.signal.name} after {kill.after:.1f} s"
        ends, begins = kill.ended <= _END_SECONDS, kill.begins <= _BEGIN_SECONDS
        lines += [
            Line(f"{name}: has ended after", f"{kill.ended:.1f} s", f"at most {_END_SECONDS:.0f} s", ends),
            Line(f"{name}: processes left", f"{kill.left}", "none", kill.left == 0, is_exact=True),
            Line(
                f"{name}: the next run begins its work after",
                f"{kill.begins:.1f} s",
                f"at most {_BEGIN_SECONDS:.0f} s",
                begins,
                f"{usual:.1f} s without a kill",
            ),
        ]
    return lines


def _until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError(f"the expected state was not reached within {_PATIENCE_SECONDS:.0f} s")
        time.sleep(0.2)


def _answer(url: str, body: bytes, token: str) -> str:
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    try:
        return httpx.post(url, content=body, headers=headers, timeout=30).text
    except httpx.TransportError:
        return ""
