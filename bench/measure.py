"""Time contestants in turns, measure a process's peak memory, and print the table of a benchmark.

Times are medians over several rounds; contestants take turns, so that a machine that slows down slows both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

PROJECT = Path(__file__).parents[1]

HOLDS, MISSED, FAILED, SKIPPED = 0, 1, 3, 77
"""Exit statuses of a benchmark: all limits hold, a limit is missed, it could not be measured, a program is absent."""

TABLES = "BENCH_TABLES"
"""Environment variable: a file to which each printed table is also appended as a line of JSON."""

_QUICK = "--quick"


class BenchError(RuntimeError):
    """A benchmark failed; the text says why and what to do."""


class MissingError(RuntimeError):
    """A program that a benchmark needs is missing; the text names it and says how to install it."""


@dataclass(frozen=True)
class Line:
    """One measured figure.

    figure: the figure with its unit. limit: in words, empty if there is none; holds: whether it is kept. comparator:
    the same figure of another program. is_exact: the limit holds for any size and machine ("none lost"), so that it
    also applies to a quick run.
    """

    what: str
    figure: str
    limit: str
    holds: bool
    comparator: str = ""
    is_exact: bool = False

    def verdict(self, quick: bool) -> str:
        """Return `holds` or `MISSED`; empty if there is no limit to check."""
        if not self.limit:
            return ""
        if quick and not self.is_exact:
            return "not judged"
        return "holds" if self.holds else "MISSED"


def options(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser for the options of the benchmark `name`, with `--quick`."""
    parser = argparse.ArgumentParser(
        prog=f"python -m bench {name}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(_QUICK, action="store_true", help="small sizes: does it run, not how fast is it")
    return parser


def in_turns(contestants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds that each contestant took in each round; they take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Return the median over the rounds of `above` by `below`."""
    return statistics.median(one / other for one, other in zip(above, below, strict=True))


def run_and_watch(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None, python: str = sys.executable
) -> tuple[float, float]:
    """Run a Python process to its end; return seconds and the peak resident memory in MB of it and its children.

    python: the interpreter, if it is in another environment.

    Raises CalledProcessError with its output if the process fails.
    """
    began, peak = time.perf_counter(), [0.0]
    process = subprocess.Popen(
        [python, *arguments],
        cwd=PROJECT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            peak[0] = max(peak[0], sum(_resident_mb(pid) for pid in family(process.pid)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        output, _ = process.communicate()
    finally:
        process.kill()  # no effect if it has ended
        ended.set()
        watcher.join()
    seconds = time.perf_counter() - began
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, list(arguments), output)
    return seconds, peak[0]


def run(arguments: Sequence[str], environment: Mapping[str, str] | None = None, cwd: Path = PROJECT) -> str:
    """Run a command and return its output. Raises CalledProcessError with the output if it fails."""
    return subprocess.run(
        [*arguments],
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ).stdout


def family(pid: int) -> list[int]:
    """Return the numbers of a process and all its descendants."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        children = [child for thread in threads for child in (thread / "children").read_text().split()]
    except OSError:
        return [pid]
    return [pid, *(member for child in children for member in family(int(child)))]


def _resident_mb(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return 0.0
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def print_lines(title: str, lines: Sequence[Line]) -> int:
    """Print a table of the figures with the load they were measured under; return the benchmark's exit status.

    In a quick run (`--quick` on the command line), only exact limits apply.
    """
    quick = _QUICK in sys.argv
    load = os.getloadavg()[0]
    table = Table(title=f"{title} (load {load:.1f} on {os.cpu_count()} cores)", title_justify="left")
    for heading in ("what", "measured", "limit", "comparator", ""):
        table.add_column(heading)
    for line in lines:
        table.add_row(line.what, line.figure, line.limit, line.comparator, line.verdict(quick))
    Console().print(table)
    if where := os.environ.get(TABLES):
        rows = [asdict(line) | {"verdict": line.verdict(quick)} for line in lines]
        with Path(where).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"title": title, "load": round(load, 1), "lines": rows}) + "\n")
    return MISSED if any(line.verdict(quick) == "MISSED" for line in lines) else HOLDS
