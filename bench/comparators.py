"""Environments for the programs that the benchmarks compare with, which cannot share the project's packages.

They are kept in `.venv/comparators`, so that only the first run needs the package index.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
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

ON_DEMAND = {"spark": ("pyspark==4.2.0",)}
"""Large ones, which only a full run of their benchmark installs."""


def comparator(name: str) -> Path:
    """Return the `bin` folder of a comparator's environment; create the environment if there is none yet.

    Raises MissingError if it is not there and must not, or cannot, be installed.
    """
    folder = Path(sys.prefix) / "comparators" / name
    packages = (COMPARATORS | ON_DEMAND)[name]
    requirements = "\n".join(packages)
    made = folder / "installed"
    if made.is_file() and made.read_text("utf-8") == requirements:
        return folder / "bin"
    if os.environ.get(INSTALL) == "never":
        raise MissingError(f"{packages[0]} is not installed: `python -m bench install` gets it")
    print(f"installing {', '.join(packages)} into {folder.relative_to(Path(sys.prefix).parent)} (once)")
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    installed = subprocess.run([*pip, *packages], check=False, capture_output=True, text=True)
    if installed.returncode != 0:
        print(installed.stderr.strip(), file=sys.stderr)
        raise MissingError(f"{packages[0]} cannot be installed from the package index")
    made.write_text(requirements, "utf-8")
    return folder / "bin"
