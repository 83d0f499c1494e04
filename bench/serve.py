"""Start what is measured over HTTP: a home with a snapshot to serve, and servers in separate processes."""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from bench.measure import PROJECT, BenchError, MissingError, run
from quintet.embedded.processes import free_port

HOME = "BENCH_HOME"
"""Environment variable: a home that was built from the samples, for quick runs."""

_SECONDS_TO_START = 600.0


def add_home(parser: argparse.ArgumentParser) -> None:
    """Add the option `--home`."""
    parser.add_argument(
        "--home",
        type=Path,
        default=Path(os.environ.get(HOME) or os.environ.get("QUINTET_HOME") or PROJECT / "data").absolute(),
        help="with --quick: a home that `make run` has built from the samples (default: %(default)s); it is only read",
    )


def copy_of_snapshot(built: Path, home: Path) -> None:
    """Copy the current snapshot of a built home into a new home. Raises MissingError if there is none."""
    current = _snapshot_of(built)
    serving = home / "serving"
    serving.mkdir(parents=True)
    shutil.copyfile(current, serving / "bench.duckdb")
    (serving / "current.duckdb").symlink_to("bench.duckdb")


def _snapshot_of(built: Path) -> Path:
    current = built / "serving" / "current.duckdb"
    if not current.exists():
        raise MissingError(f"{built} has no snapshot: build one with `make run`, or name a home that has one by --home")
    return current


def copy_of_home(built: Path, home: Path) -> None:
    """Copy a built home. Raises MissingError if it was not built."""
    _snapshot_of(built)
    left_out = shutil.ignore_patterns("raw", "postgres*", "objects*", "*.lock", "logs")
    shutil.copytree(built, home, symlinks=True, ignore=left_out)


def run_environment(home: Path, raw: Path) -> dict[str, str]:
    """Return the environment of a run into `home`, including its Dagster history; create the folder."""
    dagster_home = home / "dagster"
    dagster_home.mkdir(parents=True, exist_ok=True)
    shutil.copy(PROJECT / "dagster.yaml", dagster_home)
    return {
        "QUINTET_HOME": str(home),
        "QUINTET_RAW": str(raw),
        "DAGSTER_HOME": str(dagster_home),
        "DO_NOT_TRACK": "1",
    }


def build(home: Path, raw: Path, domain: str) -> None:
    """Build one domain from the inboxes in `raw` into an empty home."""
    run([sys.executable, "-m", "cli", "run", "--select", domain], run_environment(home, raw))


@contextmanager
def served(arguments: Sequence[str], url: str, environment: Mapping[str, str]) -> Iterator[str]:
    """Run a server until the body ends; yield its address once `url` answers.

    Raises BenchError if it ends at once or does not answer in time.
    """
    process = subprocess.Popen(
        [*arguments],
        cwd=PROJECT,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # it logs a line for each request
    )
    try:
        _await(process, url)
        yield url.rsplit("/", 1)[0]
    finally:
        process.terminate()
        process.wait(timeout=60)


def _await(process: subprocess.Popen[bytes], url: str) -> None:
    until = time.monotonic() + _SECONDS_TO_START
    while True:
        try:
            httpx.get(url)
        except httpx.TransportError as error:
            if process.poll() is not None:
                raise BenchError(f"the server ended with status {process.returncode} before it answered") from error
            if time.monotonic() > until:
                raise BenchError(f"the server does not answer within {_SECONDS_TO_START:.0f} s: {error}") from error
            time.sleep(0.1)
        else:
            return


@contextmanager
def service(home: Path, **settings: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Run the HTTP service over a home; yield its address and the headers for requests of an admin."""
    key, port = secrets.token_hex(16), free_port()
    environment = {"QUINTET_HOME": str(home), "QUINTET_PORT": str(port), "QUINTET_ADMIN_KEY": key, **settings}
    with served([sys.executable, "-m", "quintet.web"], f"http://127.0.0.1:{port}/healthz", environment) as url:
        yield url, {"authorization": f"Bearer {key}", "content-type": "application/json"}
