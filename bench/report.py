"""Run all benchmarks one after another and write one report, with the machine that they ran on."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.listing import Bench
from bench.measure import HOLDS, MISSED, PROJECT, SKIPPED, TABLES

REPORT = PROJECT / "docs" / "benchmarks.md"

_PACKAGES = ("duckdb", "dagster", "dbt-core", "dbt-duckdb", "pandas", "pyarrow", "scikit-learn", "fastapi")
_SECONDS_TO_TIDY = 30
_WORDS = {
    HOLDS: "measured",
    MISSED: "**a limit is missed**",
    SKIPPED: "skipped",
}


@dataclass(frozen=True)
class Outcome:
    """The outcome of a benchmark: its exit status, seconds, tables as `print_lines` writes them, and last message."""

    bench: Bench
    status: int
    seconds: float
    tables: Sequence[dict[str, Any]]
    message: str

    @property
    def is_failed(self) -> bool:
        """Return whether it failed to measure or missed a limit."""
        return self.status not in (HOLDS, SKIPPED)


def run_all(found: Iterable[Bench], options: Sequence[str]) -> list[Outcome]:
    """Run each benchmark in a separate process, and continue when one fails."""
    return [_run(bench, options) for bench in found]


def _run(bench: Bench, options: Sequence[str]) -> Outcome:
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        tables, written = Path(folder) / "tables.jsonl", Path(folder) / "output.txt"
        with written.open("w", encoding="utf-8") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "bench", bench.name, *options],
                cwd=PROJECT,
                env={**os.environ, TABLES: str(tables), "COLUMNS": "160", "PYTHONUNBUFFERED": "1"},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # it gets Ctrl-C once, from this process
            )
            try:
                status = process.wait()
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
                    process.wait(_SECONDS_TO_TIDY)
        text = written.read_text("utf-8")
        print(text, end="", flush=True)
        lines = tables.read_text("utf-8").splitlines() if tables.is_file() else []
    said = [line for line in text.splitlines() if line.startswith(f"{bench.name}: ")]
    message = said[-1] if said else ""
    return Outcome(bench, status, time.perf_counter() - began, [json.loads(line) for line in lines], message)


def write_report(outcomes: Sequence[Outcome], options: Sequence[str], path: Path = REPORT) -> None:
    """Write the report of a run of all benchmarks."""
    path.write_text(report(outcomes, options, dt.datetime.now(dt.UTC)), "utf-8")


def report(outcomes: Sequence[Outcome], options: Sequence[str], at: dt.datetime) -> str:
    """Return the report as Markdown, without the machine's name or paths."""
    quick = "--quick" in options
    command = " ".join(["python -m bench all", *options])
    head = [
        "# Benchmarks",
        "",
        f"Made by `{command}`; do not edit.",
        "",
    ]
    if quick:
        head += [
            "**This is the quick version**: small sizes, which show that each benchmark runs and what it prints. Its",
            "figures say little about full sizes, so limits of time and memory do not apply. The full version:",
            "`python -m bench all`, on a machine that does nothing else; it takes about three hours.",
            "",
        ]
    head += ["| | |", "|---|---|", *(f"| {name} | {_cell(value)} |" for name, value in machine(at).items()), ""]
    body = [line for outcome in outcomes for line in _section(outcome, options)]
    return without_places("\n".join(head + body).rstrip() + "\n")


def _section(outcome: Outcome, options: Sequence[str]) -> list[str]:
    name = outcome.bench.name
    lines = [
        f"## {name}",
        "",
        outcome.bench.summary,
        "",
        f"`{' '.join(['python -m bench', name, *options])}`, {outcome.seconds:.0f} s: "
        f"{_WORDS.get(outcome.status, '**failed**')}.",
        "",
    ]
    if outcome.message:
        lines += [f"> {_cell(outcome.message)}", ""]
    for table in outcome.tables:
        lines += [
            f"{table['title']}, at a load of {table['load']}:",
            "",
            "| what | measured | limit | comparator | |",
            "|---|---|---|---|---|",
        ]
        keys = ("what", "figure", "limit", "comparator", "verdict")
        lines += [f"| {' | '.join(_cell(line[key]) for key in keys)} |" for line in table["lines"]]
        lines.append("")
    return lines


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def without_places(text: str) -> str:
    """Return the text without the folders of this machine."""
    for place, stands in (
        (str(PROJECT), "."),
        (tempfile.gettempdir(), "TEMP"),
        (str(Path.home()), "HOME"),
        (sys.base_prefix, "PYTHON"),
    ):
        if len(place) > 1:
            text = text.replace(place, stands)
    return text


def machine(at: dt.datetime) -> dict[str, str]:
    """Return what the figures depend on: date, commit, processor, memory, load and versions."""
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return {
        "date": f"{at:%Y-%m-%d %H:%M} UTC",
        "commit": _commit(),
        "processor": f"{_cpu_model()}, {os.cpu_count()} cores",
        "memory": _memory(),
        "load at the end": f"{os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "packages": packages,
    }


def _commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=PROJECT, check=False, capture_output=True, text=True
        ).stdout.strip()

    others = ("--", ".", f":!{REPORT.relative_to(PROJECT)}")  # the report itself is written after the code
    changed = git("status", "--porcelain", "--untracked-files=no", *others)
    note = " with changes that are not committed" if changed else ""
    return (git("rev-parse", "--short", "HEAD") or "none") + note


def _cpu_model() -> str:
    return _field(Path("/proc/cpuinfo"), "model name") or platform.processor() or platform.machine()


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.1f} GB"


def _field(file: Path, name: str) -> str:
    if not file.is_file():
        return ""
    found = (line.partition(":")[2].strip() for line in file.read_text("utf-8").splitlines() if line.startswith(name))
    return next(found, "")
