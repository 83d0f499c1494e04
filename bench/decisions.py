"""Loan decisions: a simulated CRM against PostgreSQL, stream and service, by the CRM's own clock.

Ten minutes on a quiet machine and ten while Dagster materialises everything; `--seconds 60 --skip materialising` is
shorter. `--ahead` gives the parts real-time priority (root only), to get the figures of two quiet cores on a busy
machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from bench.measure import PROJECT, BenchError, Line, family, options, print_lines
from bench.serve import run_environment
from quintet.samples.crm_tally import Tally
from tests.faults.decision_world import DecisionWorld

USUALLY = "25 minutes"

_CLIENTS, _CLIENTS_QUICK = 9_000, 100
_WARM_UP_SECONDS = 5


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and return the exit status."""
    parser = options("decisions", __doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--skip", choices=("quiet", "materialising"), action="append", default=[])
    parser.add_argument("--ahead", action="store_true", help="ahead of whatever else the machine does")
    given = parser.parse_args(arguments)
    warm_up = float(_WARM_UP_SECONDS)
    if given.quick:
        given.seconds, given.rate, given.skip, warm_up = 1.0, 20.0, ["materialising"], 0.2
    if given.ahead:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))  # processes started from here on inherit it
    lines: list[Line] = []
    clients = _CLIENTS_QUICK if given.quick else _CLIENTS
    with tempfile.TemporaryDirectory() as folder, DecisionWorld(Path(folder), clients, 7) as world:
        world.keep_models()
        world.start_stream()
        world.start_service()
        world.await_epoch()
        world.await_service()
        world.simulate(given.rate, warm_up)
        world.await_simulation()
        for state, most_p50, most_p99 in (("quiet", 5, 25), ("materialising", None, 100)):
            if state not in given.skip:
                lines += _measure(world, state, given.rate, given.seconds, most_p50, most_p99)
    return print_lines("Loan decisions, commit to decision", lines)


def _measure(
    world: DecisionWorld, state: str, rate: float, seconds: float, most_p50: float | None, most_p99: float
) -> list[Line]:
    first = max(world.rows("loan"))
    ended = threading.Event()
    builder = threading.Thread(target=_materialise, args=(world.home, ended))
    if state == "materialising":
        builder.start()
    spent = _cpu_seconds(world)
    began = time.perf_counter()
    try:
        world.simulate(rate, seconds)
        tally = world.await_simulation()
        took = time.perf_counter() - began
    finally:
        ended.set()
        if builder.is_alive():
            builder.join()
    cpu = {name: now - spent[name] for name, now in _cpu_seconds(world).items()}
    shares = ", ".join(f"{name} {100 * value / took:.0f}%" for name, value in cpu.items())
    if not tally.milliseconds:
        raise BenchError(f"no application was decided: {tally.in_words()}")
    decided = [application for application in world.decided() if application > first]
    lost = world.applications(first) ^ set(decided)
    return [
        Line(f"{state}: applications", f"{len(tally.committed) / took:.0f} a second; of a core: {shares}", "", True),
        *_latencies(tally, state, most_p50, most_p99),
        Line(
            f"{state}: lost",
            f"{len(lost | tally.lost):,} of {len(tally.committed):,}",
            "0",
            not lost | tally.lost,
            is_exact=True,
        ),
        Line(
            f"{state}: doubled",
            f"{len(decided) - len(set(decided)) + len(tally.doubled):,}",
            "0",
            len(decided) == len(set(decided)) and not tally.doubled,
            is_exact=True,
        ),
    ]


def _latencies(tally: Tally, state: str, most_p50: float | None, most_p99: float) -> list[Line]:
    p50, p99, slowest = tally.percentile(50), tally.percentile(99), max(tally.milliseconds)
    count = f"n {len(tally.milliseconds):,}"
    limit = "" if most_p50 is None else f"at most {most_p50:g} ms"
    return [
        Line(f"{state}: p50", f"{p50:.1f} ms ({count})", limit, most_p50 is None or p50 <= most_p50),
        Line(f"{state}: p99", f"{p99:.1f} ms", f"at most {most_p99:g} ms", p99 <= most_p99),
        Line(f"{state}: slowest", f"{slowest:.0f} ms", "at most 1,000 ms", slowest <= 1_000),
        Line(
            f"{state}: referred because features or score were missing",
            f"{tally.reasons['INFORMATION_NOT_AVAILABLE']:,}",
            "",
            True,
        ),
    ]


def _cpu_seconds(world: DecisionWorld) -> dict[str, float]:
    """Return the processor seconds of each part with its children."""
    pids = {"service": world.service_pid, "stream": world.stream_pid, "postgres": world.postgres.pid}
    found = {name: sum(map(_seconds_of, family(pid))) for name, pid in pids.items()}
    return found | {"simulator": time.process_time()}


def _seconds_of(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _materialise(home: Path, ended: threading.Event) -> None:
    """Build everything from the committed samples into the service's home, again and again."""
    environment = os.environ | run_environment(home, PROJECT / "data" / "raw")
    while not ended.is_set():
        for file in (*home.glob("warehouse.duckdb*"), *home.glob("serving/current.duckdb")):
            file.unlink()  # so that the next run builds everything
        run = subprocess.Popen(
            [sys.executable, "-m", "cli.run"],
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while run.poll() is None and not ended.wait(0.5):
            pass
        if run.poll() is None:
            run.terminate()
        run.wait()
