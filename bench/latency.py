"""From a dropped file of two rows to the published snapshot, by a run and under dev, beside a bare `dbt build`.

`make bench NAME=latency` builds the samples once and takes about five minutes. `--quick` builds payments alone and
measures one run there, which builds that business whole.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Line, print_lines
from cli.supervisor import behind
from quintet.datasets import DATASETS

_PROJECT = Path(__file__).parents[1]
_RUN_SECONDS, _DEV_SECONDS = 6.0, 12.0
_LONGEST_SECONDS = 1_200.0
_POLL_SECONDS = 0.02
_STOP_SECONDS = 20.0
_ROUNDS = 3


@dataclass(frozen=True)
class Drop:
    """A dataset, the column that makes rows of the sample new ones, and its value for the row with a number."""

    dataset: str
    column: str
    value: Callable[[int], str]


DROPS = (
    Drop("agency_performance", "AGENCY_ID", lambda number: str(900_000 + number)),
    Drop("promo_usages", "used_at", lambda number: f"2024-03-01 10:{number // 60 % 60:02d}:{number % 60:02d}.000001"),
    Drop("conversions", "id", lambda number: str(9_000_000 + number)),
    Drop("transactions", "time", lambda number: f"{number // 60 % 24:02d}h {number % 60:02d}"),
)


class Home:
    """Inboxes and a home of this benchmark's own."""

    def __init__(self, folder: Path, domain: str | None) -> None:
        self.raw, self.home, self._rows = folder / "raw", folder / "home", 0
        wanted = [dataset.name for dataset in DATASETS.values() if domain in (None, dataset.domain)]
        for name in wanted:
            shutil.copytree(_PROJECT / "data" / "raw" / name, self.raw / name)
        dagster_home = self.home / "dagster"
        dagster_home.mkdir(parents=True)
        shutil.copy(_PROJECT / "dagster.yaml", dagster_home)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("QUINTET_")} | {
            "QUINTET_RAW": str(self.raw),
            "QUINTET_HOME": str(self.home),
            "DAGSTER_HOME": str(dagster_home),
            "DO_NOT_TRACK": "1",
        }

    def snapshot(self) -> str:
        """The name of the current snapshot; empty where there is none."""
        current = self.home / "serving" / "current.duckdb"
        return current.resolve().name if current.exists() else ""

    def drop(self, drop: Drop) -> None:
        """Drop a file of two rows that no file had before."""
        sample = min((_PROJECT / "data" / "raw" / drop.dataset).glob("*.csv"))
        with sample.open(encoding="utf-8", newline="") as file:
            delimiter = ";" if ";" in file.readline() else ","
            file.seek(0)
            rows = list(csv.DictReader(file, delimiter=delimiter))[-2:]
        for row in rows:
            self._rows += 1
            row[drop.column] = drop.value(self._rows)
        day = self._rows // 2
        part = self.raw / drop.dataset / f"2024-{4 + day // 28:02d}-{1 + day % 28:02d}.csv.part"
        with part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
        part.rename(part.with_suffix(""))

    def run(self, *arguments: str) -> float:
        """Run to the end, and give the seconds until the snapshot was another one."""
        before, began = self.snapshot(), time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.run", *arguments],
            cwd=_PROJECT,
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
        """Build the models that such a file touches with dbt's own command; gives the seconds."""
        domain = DATASETS[drop.dataset].domain
        selection = [f"source:raw.{drop.dataset}+", "tag:ops", f"tag:results,tag:{domain}"]
        target = self.home / "bare"
        began = time.perf_counter()
        subprocess.run(
            behind(  # as a run is, so that what else the machine does slows both
                [
                    *(str(Path(sys.executable).with_name("dbt")), "build", "--quiet", "--target-path", str(target)),
                    *("--exclude-resource-type", "unit_test", "--log-level-file", "info", "--select", *selection),
                ]
            ),
            cwd=_PROJECT,
            env=self.environment
            | {
                "DBT_PROJECT_DIR": str(_PROJECT / "dbt_project"),
                "DBT_PROFILES_DIR": str(_PROJECT / "dbt_project"),
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
        """Dagster with its sensors on, until the body ends."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log = self.home / "dev.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "dagster", "dev", "--workspace", "workspace.yaml"),
                    *("--host", "127.0.0.1", "--port", str(port)),
                ],
                cwd=_PROJECT,
                env=self.environment,
                stdout=output,
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
        """Drop a file while dev is up; gives the seconds from the moment it is complete to the snapshot."""
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
    """The seconds of runs and of the bare builds of the same models, which take turns."""
    runs, bare = [], []
    for _ in range(rounds):
        home.drop(drop)
        runs.append(home.run(*arguments))
        bare.append(home.bare_dbt(drop))
    return runs, bare


def _lines(drop: Drop, runs: list[float], bare: list[float], *, limited: bool) -> list[Line]:
    name = f"{DATASETS[drop.dataset].domain}, {drop.dataset}"
    run = statistics.median(runs)
    ratio = statistics.median(one / other for one, other in zip(runs, bare, strict=True))
    limit = f"at most {_RUN_SECONDS:.0f} s" if limited else ""
    return [
        Line(f"{name}: bare dbt build", f"{statistics.median(bare):.1f} s", "", True),
        Line(
            f"{name}: run",
            f"{run:.1f} s, {ratio:.2f} of the bare build",
            limit,
            not limited or run <= _RUN_SECONDS,
        ),
    ]


def _measure(folder: Path) -> list[Line]:
    home = Home(folder, None)
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
            name = f"{DATASETS[drop.dataset].domain}, {drop.dataset}: dev, from the complete file"
            lines.append(Line(name, figure, f"at most {_DEV_SECONDS:.0f} s", within))
    return lines


def _measure_quickly(folder: Path) -> list[Line]:
    home, drop = Home(folder, "payments"), DROPS[-1]
    home.run("--select", "payments")
    return _lines(drop, *measure_runs(home, drop, 1, "--select", "payments"), limited=False)


def main() -> int:
    """Measure and print; 0 if all limits hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="payments alone, one run, nothing under dev")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        lines = (_measure_quickly if quick else _measure)(Path(folder))
    return print_lines("From a file of two rows to the snapshot", lines)


if __name__ == "__main__":
    sys.exit(main())
