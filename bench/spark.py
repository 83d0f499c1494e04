"""The engine spark beside this machine: equal results, time with one and two workers, and with one that is killed.

The full run starts Apache Spark as a standalone cluster: a master, workers of one core each, and a Spark Connect
server, as processes on this machine (Java 17). The quick run has Sail in their place.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from bench.measure import BenchError, Line, MissingError, options, print_lines
from bench.spark_cluster import Standalone
from bench.spark_jobs import Job, Outcome, abuse, features_and_training_set, matching
from quintet.embedded.processes import free_port
from quintet.spark.faults import SparkError, need_answer
from quintet.spark.groups import Cluster

USUALLY = "15 minutes"

_MOST_TIMES_OF_HERE = 1.3
_QUICK, _FULL = (600, 400, 60), (300_000, 100_000, 20_000)
_QUICK_GROUP_ROWS, _GROUP_ROWS = 1_000, 10_000
_LONGEST_START_SECONDS = 30


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the exit status is 1 if a limit is missed."""
    parser = options("spark", __doc__)
    for name, what in (("conversions", "of matching"), ("accounts", "of abuse"), ("clients", "of lending")):
        parser.add_argument(f"--{name}", type=int, help=f"size {what}")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-spark-") as folder:
        root = Path(folder)
        jobs = _jobs(root, given)
        if given.quick:
            with _sail(root) as remote:
                return print_lines(
                    "Spark (Sail)", _on_sail(jobs, Cluster(remote, root / "exchange", _QUICK_GROUP_ROWS))
                )
        return print_lines("Spark (standalone cluster)", _on_standalone(jobs, root))


def _jobs(root: Path, given: argparse.Namespace) -> list[Job]:
    conversions, accounts, clients = _QUICK if given.quick else _FULL
    return [
        matching(root, given.conversions or conversions),
        abuse(given.accounts or accounts),
        features_and_training_set(root, given.clients or clients),
    ]


def _on_sail(jobs: Sequence[Job], cluster: Cluster) -> list[Line]:
    lines = []
    for job in jobs:
        here, there = job.run(None), job.run(cluster)
        lines += [_equal(job, "on the cluster", here, there), _cost(job, here)]
    return lines


def _on_standalone(jobs: Sequence[Job], root: Path) -> list[Line]:
    cluster_folder = root / "cluster"
    cluster_folder.mkdir()
    standalone = Standalone(cluster_folder)
    lines = []
    try:
        standalone.start()
        cluster = Cluster(standalone.remote, root / "exchange", _GROUP_ROWS)
        jobs[-1].run(cluster)  # the first step of an application starts its executors
        alone = [job.run(cluster) for job in jobs]
        standalone.add_worker()
        jobs[-1].run(cluster)
        for job, one in zip(jobs, alone, strict=True):
            here, two = job.run(None), job.run(cluster)
            with _killed_in_mid_run(standalone, cluster) as moment:
                killed = job.run(cluster)
            if not moment[0]:
                raise BenchError(f"{job.name} ended before a worker was killed; measure a larger one")
            standalone.add_worker()
            lines += [
                _equal(job, "with one worker", here, one),
                _equal(job, "with two workers", here, two),
                _equal(job, f"with one of two killed after {moment[0]:.0f} s", here, killed),
                Line(
                    f"{job.name}: two workers against this machine",
                    f"{two.seconds / here.seconds:.2f} times, {one.seconds / two.seconds:.2f} times as fast as one",
                    f"at most {_MOST_TIMES_OF_HERE} times" if job.name == "matching" else "",
                    two.seconds <= _MOST_TIMES_OF_HERE * here.seconds,
                ),
                _cost(job, here),
            ]
    finally:
        standalone.stop()
    return lines


def _cost(job: Job, here: Outcome) -> Line:
    cost = here.core_seconds / job.units * 1e3
    return Line(f"{job.name}: cost per {job.unit}", f"{cost:.3f} ms of a core here", "", True)


def _equal(job: Job, where: str, here: Outcome, there: Outcome) -> Line:
    return Line(
        f"{job.name}, {job.size}, {where}",
        f"{there.seconds:.1f} s, digest {there.digest}",
        "the digest of this machine",
        there.digest == here.digest,
        f"here {here.seconds:.1f} s, {here.digest}",
        is_exact=True,
    )


@contextmanager
def _killed_in_mid_run(standalone: Standalone, cluster: Cluster) -> Iterator[list[float]]:
    """Kill a worker once results are being written; gives the seconds after which it was."""
    moment, began, ended = [0.0], time.monotonic(), threading.Event()

    def wait_and_kill() -> None:
        while not ended.wait(0.05):
            if any(cluster.folder.glob("groups-*/results/_temporary/0/*")):
                standalone.kill_worker()
                moment[0] = time.monotonic() - began
                return

    killer = threading.Thread(target=wait_and_kill)
    killer.start()
    try:
        yield moment
    finally:
        ended.set()
        killer.join()


@contextmanager
def _sail(root: Path) -> Iterator[str]:
    if find_spec("pysail") is None:
        raise MissingError("Sail is not installed: pip install --no-deps --require-hashes -r requirements-spark.lock")
    port = free_port()
    command = [str(Path(sys.executable).with_name("sail")), "spark", "server", "--ip", "127.0.0.1"]
    with (root / "sail.log").open("wb") as log:
        process = subprocess.Popen([*command, "--port", str(port)], stdout=log, stderr=log)
    try:
        remote, until = f"sc://127.0.0.1:{port}", time.monotonic() + _LONGEST_START_SECONDS
        while not _answers(remote) and time.monotonic() < until:
            time.sleep(0.1)
        yield remote
    finally:
        process.kill()
        process.wait()


def _answers(remote: str) -> bool:
    try:
        need_answer(remote)
    except SparkError:
        return False
    return True
