"""Kill `quintet run`, `dev`, `up` and a run of the Dagster UI at random moments; nothing that died blocks what follows.

`python -m bench.kills` takes about half an hour, `--quick` kills `quintet run` three times at its beginning. After each
kill the table shows how long the command took to end, how many of its processes were left, and how long the next
`quintet run` took to its first finished step, beside the same without a kill before it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from resources.run_marks import living, marks_folder

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
    """What was killed and what came of it. Seconds; begins: from the start of the next run to its first step's end."""

    command: str
    signal: signal.Signals
    after: float
    ended: float
    left: int
    begins: float

    def holds(self, usual: float) -> bool:
        """Whether it ended in time, alone, and the next run was not delayed; usual: its time without a kill."""
        return self.ended <= _END_SECONDS and self.left == 0 and self.begins <= usual + _BEGIN_SECONDS


class World:
    """A home of its own, with free ports."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.dagster_port = _free_port()
        self._environment = {name: text for name, text in os.environ.items() if not name.startswith("QUINTET_")} | {
            "QUINTET_HOME": str(home),
            "QUINTET_PORT": str(_free_port()),
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
        """The processes that live for this home."""
        sign, found = f"QUINTET_HOME={self.home}\0".encode(), set()
        for process in Path("/proc").iterdir():
            try:
                lives = process.name.isdigit() and sign in (process / "environ").read_bytes()
            except OSError:
                continue
            if lives:
                found.add(int(process.name))
        return found

    def run_until_the_first_step(self) -> float:
        """Start a run, stop it after its first step; the seconds from its start to that step's end."""
        began = time.monotonic()
        process = self.start("run")
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("  ") and line.rstrip().endswith("s)"):
                break
        seconds = time.monotonic() - began
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=_PATIENCE_SECONDS)
        return seconds

    def launch(self) -> int:
        """Start a run through the webserver; the process that executes it, once there is one."""
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
        _until(lambda: "LaunchRunSuccess" in _answer(url, body))
        marks = marks_folder(self.home / "dagster")
        _until(lambda: bool(living(marks)))
        return next(iter(living(marks).values()))


def try_kill(world: World, command: str, number: signal.Signals, after: float) -> Kill:
    """Start a command, kill it after some seconds, and see what follows."""
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
    os.kill(victim, number)
    if command == "ui":
        _until(lambda: victim not in living(marks_folder(world.home / "dagster")).values())
        ended = time.monotonic() - began
        begins = world.run_until_the_first_step()
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=_PATIENCE_SECONDS)
    if command != "ui":
        ended = time.monotonic() - began
    while (left := world.processes()) and time.monotonic() - began < _END_SECONDS:
        time.sleep(0.1)
    if command != "ui":
        begins = world.run_until_the_first_step()
    return Kill(command, number, after, ended, len(left), begins)


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill and print the table; 0 if nothing was left or blocked."""
    parser = argparse.ArgumentParser(prog="python -m bench.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="how many; commands and signals take turns")
    parser.add_argument("--seed", type=int, default=7, help="the same seed kills at the same moments")
    parser.add_argument("--commands", default=",".join(_COMMANDS), help="which commands, separated by commas")
    parser.add_argument("--quick", action="store_true", help="three kills of `quintet run` at its beginning")
    given = parser.parse_args(arguments)
    draw = random.Random(given.seed)
    commands = ["run"] if given.quick else given.commands.split(",")
    latest = {"run": 1.5 if given.quick else 40.0, "dev": 25.0, "up": 60.0, "ui": 30.0}
    with tempfile.TemporaryDirectory(prefix="quintet-kills-") as folder:
        Path(folder).chmod(0o711)
        world = World(Path(folder) / "home")
        usual = world.run_until_the_first_step()
        kills = []
        for place in range(len(_SIGNALS) if given.quick else given.kills):
            command = commands[place % len(commands)]
            number = _SIGNALS[(place // len(commands)) % len(_SIGNALS)]
            kills.append(try_kill(world, command, number, draw.uniform(0.2, latest[command])))
    Console().print(table_of(kills, usual))
    return int(not all(kill.holds(usual) for kill in kills))


def table_of(kills: Sequence[Kill], usual: float) -> Table:
    """The kills beside what a run takes to its first step without one."""
    table = Table(title=f"without a kill, a run ends its first step after {usual:.1f} s", title_justify="left")
    for heading in ("command", "signal", "after s", "ended s", "processes left", "next run's first step s", "holds"):
        table.add_column(heading, justify="left" if heading in ("command", "signal", "holds") else "right")
    for kill in kills:
        figures = (f"{kill.after:.1f}", f"{kill.ended:.1f}", f"{kill.left}", f"{kill.begins:.1f}")
        table.add_row(kill.command, kill.signal.name, *figures, "yes" if kill.holds(usual) else "NO")
    return table


def _until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError(f"nothing happened within {_PATIENCE_SECONDS:.0f} s")
        time.sleep(0.2)


def _answer(url: str, body: bytes) -> str:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return str(answer.read())
    except (urllib.error.URLError, OSError):
        return ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
