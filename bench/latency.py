"""Time from a dropped file of two rows to the published snapshot, by a run and under dev, beside a bare `dbt build`.

The full version builds the samples once. `--quick` measures one run of payments in a copy of a built home.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.measure import PROJECT, Line, options, print_lines
from bench.serve import add_home, copy_of_home, run_environment
from quintet.domains import DATASETS
from quintet.embedded.processes import free_port
from quintet.lending.inbox import INBOX
from resources.warm_dbt import SERVER

USUALLY = "6 min"

_RUN_SECONDS, _DEV_SECONDS = 6.0, 12.0
_LONGEST_SECONDS = 1_200.0
_POLL_SECONDS = 0.02
_STOP_SECONDS = 20.0
_ROUNDS = 3


_AT_IDLE = "import os, sys; from cli.supervisor import step_back; step_back(); os.execvp(sys.argv[1], sys.argv[1:])"
"""Runs a command with the priority of a run, so that other load on the machine slows both."""


@dataclass(frozen=True)
class Drop:
    """A dataset, the column that makes rows of the sample new, and its value for the row with a number."""

    dataset: str
    column: str
    value: Callable[[int], str]

    @property
    def domain(self) -> str:
        """The domain of the dataset."""
        return "lending" if self.dataset == INBOX else DATASETS[self.dataset].domain


DROPS = (
    Drop("agency_performance", "AGENCY_ID", lambda number: str(900_000 + number)),
    Drop("promo_usages", "used_at", lambda number: f"2024-03-01 10:{number // 60 % 60:02d}:{number % 60:02d}.000001"),
    Drop("conversions", "id", lambda number: str(9_000_000 + number)),
    Drop("transactions", "time", lambda number: f"{number // 60 % 24:02d}h {number % 60:02d}"),
    Drop(INBOX, "", lambda number: f"insert into payment (id, loan_id) values ({900_000 + number}, 1);\n"),
)


class Home:
    """Separate inboxes and a home for this benchmark."""

    def __init__(self, folder: Path) -> None:
        self.raw, self.home, self._rows = folder / "raw", folder / "home", 0
        shutil.copytree(PROJECT / "data" / "raw", self.raw)
        # without settings, but with a warm dbt if there is one
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("QUINTET_") or name == SERVER
        }
        self.environment = inherited | run_environment(self.home, self.raw)

    def snapshot(self) -> str:
        """Return the name of the current snapshot; empty if there is none."""
        current = self.home / "serving" / "current.duckdb"
        return current.resolve().name if current.exists() else ""

    def drop(self, drop: Drop) -> None:
        """Drop a file with two new rows; for the loan book, a dump with two more rows."""
        if drop.dataset == INBOX:
            self._rows += 2
            text = min((PROJECT / "data" / "raw" / INBOX).glob("*.sql")).read_text("utf-8")
            more = "".join(drop.value(number) for number in (self._rows - 1, self._rows))
            self._put(drop, ".sql", text + more)
            return
        sample = min((PROJECT / "data" / "raw" / drop.dataset).glob("*.csv"))
        with sample.open(encoding="utf-8", newline="") as file:
            delimiter = ";" if ";" in file.readline() else ","
            file.seek(0)
            rows = list(csv.DictReader(file, delimiter=delimiter))[-2:]
        for row in rows:
            self._rows += 1
            row[drop.column] = drop.value(self._rows)
        written = io.StringIO(newline="")
        writer = csv.DictWriter(written, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
        self._put(drop, ".csv", written.getvalue())

    def _put(self, drop: Drop, suffix: str, text: str) -> None:
        """Write a file of the next day, which gets its name when it is complete."""
        day = self._rows // 2
        part = self.raw / drop.dataset / f"2024-{4 + day // 28:02d}-{1 + day % 28:02d}{suffix}.part"
        part.write_text(text, encoding="utf-8", newline="")
        part.rename(part.with_suffix(""))

    def run(self, *arguments: str) -> float:
        """Run to the end, and return the seconds until there was a new snapshot."""
        before, began = self.snapshot(), time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "run", *arguments],
            cwd=PROJECT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        seconds = _until(lambda: self.snapshot() != before or process.poll() is not None, began)
        printed, _ = process.communicate(timeout=_LONGEST_SECONDS)
        if process.returncode != 0 or self.snapshot() == before:
            raise RuntimeError(f"the run published nothing:\n{printed}")
        return seconds

    def bare_dbt(self, drop: Drop) -> float:
        """Build the models that such a file affects with dbt's own command; return the seconds."""
        fed_by_files = [f"source:raw.{drop.dataset}+"] if drop.dataset in DATASETS else []
        selection = [*fed_by_files, "marts.ops", *(f"tag:results,{layer}.{drop.domain}" for layer in ("ml", "marts"))]
        target = self.home / "bare"
        began = time.perf_counter()
        subprocess.run(
            [
                *(sys.executable, "-c", _AT_IDLE, str(Path(sys.executable).with_name("dbt")), "build", "--quiet"),
                *("--target-path", str(target), "--exclude-resource-type", "unit_test"),
                *("--log-level-file", "info", "--select", *selection),
            ],
            cwd=PROJECT,
            env=self.environment
            | {
                "DBT_PROJECT_DIR": str(PROJECT / "dbt_project"),
                "DBT_PROFILES_DIR": str(PROJECT / "dbt_project"),
                "QUINTET_WAREHOUSE": str(self.home / "warehouse.duckdb"),
                "QUINTET_MEMORY_LIMIT": "800MB",
                "DBT_LOG_PATH": str(target),
            },
            check=True,
            timeout=_LONGEST_SECONDS,
        )
        return time.perf_counter() - began

    @contextmanager
    def dev(self) -> Iterator[None]:
        """Run Dagster with its sensors on until the body ends."""
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "dev", "--dagster-port", str(free_port())],
            cwd=PROJECT,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        try:
            yield
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
            with suppress(ProcessLookupError):  # all of it has ended
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def dropped_under_dev(self, drop: Drop) -> float:
        """Drop a file while dev is up; return the seconds from the complete file to the snapshot."""
        before = self.snapshot()
        self.drop(drop)
        began = time.perf_counter()
        return _until(lambda: self.snapshot() != before, began)


def _until(is_reached: Callable[[], bool], began: float) -> float:
    while not is_reached():
        if time.perf_counter() - began > _LONGEST_SECONDS:
            raise TimeoutError(f"no new snapshot within {_LONGEST_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)
    return time.perf_counter() - began


def measure_runs(home: Home, drop: Drop, rounds: int, *arguments: str) -> tuple[list[float], list[float]]:
    """Return the seconds of runs and of bare builds of the same models, in turns."""
    runs, bare = [], []
    for _ in range(rounds):
        home.drop(drop)
        runs.append(home.run(*arguments))
        bare.append(home.bare_dbt(drop))
    return runs, bare


def _lines(drop: Drop, runs: list[float], bare: list[float], *, limited: bool) -> list[Line]:
    name = f"{drop.domain}, {drop.dataset}"
    run = statistics.median(runs)
    ratio = statistics.median(one / other for one, other in zip(runs, bare, strict=True))
    limit = f"at most {_RUN_SECONDS:.0f} s" if limited else ""
    return [
        Line(
            f"{name}: run",
            f"{run:.1f} s",
            limit,
            not limited or run <= _RUN_SECONDS,
            f"bare dbt build {statistics.median(bare):.1f} s; {ratio:.2f} of it",
        )
    ]


def _measure(folder: Path) -> list[Line]:
    home = Home(folder)
    home.run()
    lines: list[Line] = []
    for drop in DROPS:
        lines += _lines(drop, *measure_runs(home, drop, _ROUNDS), limited=True)
    with home.dev():
        home.dropped_under_dev(DROPS[0])  # not measured: it waits for dev to be up
        for drop in DROPS:
            seconds = [home.dropped_under_dev(drop) for _ in range(_ROUNDS)]
            figure = f"{statistics.median(seconds):.1f} s, {max(seconds):.1f} s at most"
            within = statistics.median(seconds) <= _DEV_SECONDS
            name = f"{drop.domain}, {drop.dataset}: dev, from the complete file"
            lines.append(Line(name, figure, f"at most {_DEV_SECONDS:.0f} s", within))
    return lines


def _measure_quickly(folder: Path, built: Path) -> list[Line]:
    copy_of_home(built, folder / "home")
    home, drop = Home(folder), DROPS[3]
    return _lines(drop, *measure_runs(home, drop, 1), limited=False)


def main() -> int:
    """Measure and print the table; return the exit status of a benchmark."""
    parser = options("latency", __doc__)
    add_home(parser)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o711)
        lines = _measure_quickly(folder, given.home) if given.quick else _measure(folder)
    return print_lines("From a file of two rows to the snapshot", lines)
