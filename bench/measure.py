"""What benchmarks share: timing in turns, peak memory of a process, and a table with a verdict.

Times are medians over several rounds; where two things are compared they take turns, so that a machine that slows down
slows both.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Line:
    """One measured figure: what, the figure with its unit, the limit in words, and whether it holds."""

    what: str
    figure: str
    limit: str
    holds: bool


def in_turns(contestants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """The seconds that each contestant took in each round; they take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median over the rounds of `above` by `below`."""
    return statistics.median(one / other for one, other in zip(above, below, strict=True))


def run_and_watch(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None, python: str = sys.executable
) -> tuple[float, float]:
    """Run a Python process to its end; gives seconds and the peak resident memory in MB of it and its children.

    python: the interpreter, where it is another environment's.

    Raises CalledProcessError where the process fails.
    """
    began, peak = time.perf_counter(), [0.0]
    process = subprocess.Popen([python, *arguments], env={**os.environ, **(environment or {})})
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            peak[0] = max(peak[0], sum(_resident_mb(pid) for pid in family(process.pid)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    ended.set()
    watcher.join()
    if code != 0:
        raise subprocess.CalledProcessError(code, list(arguments))
    return time.perf_counter() - began, peak[0]


def family(pid: int) -> list[int]:
    """A process and all that came of it, by number."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
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
    """Print the figures with the load they were measured under; 0 if all limits hold."""
    table = Table(title=f"{title} (load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)", title_justify="left")
    for heading in ("what", "measured", "limit", ""):
        table.add_column(heading)
    for line in lines:
        table.add_row(line.what, line.figure, line.limit, "holds" if line.holds else "MISSED")
    Console().print(table)
    return 0 if all(line.holds for line in lines) else 1
