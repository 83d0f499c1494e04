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
    "datasette": ("datasette==0.65.5", "setuptools<81"),
    "splink": ("splink==5.0.0", "duckdb==1.5.6", "pyarrow"),
}


def comparator(name: str) -> Path:
    """Return the `bin` folder of a comparator's environment; create the environment if there is none yet.

    Raises MissingError if it is not there and must not, or cannot, be installed.
    """
    folder = Path(sys.prefix) / "comparators" / name
    requirements = "\n".join(COMPARATORS[name])
    made = folder / "installed"
    if made.is_file() and made.read_text("utf-8") == requirements:
        return folder / "bin"
    if os.environ.get(INSTALL) == "never":
        raise MissingError(f"{COMPARATORS[name][0]} is not installed: `python -m bench install` gets it")
    print(f"installing {', '.join(COMPARATORS[name])} into {folder.relative_to(Path(sys.prefix).parent)} (once)")
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    installed = subprocess.run([*pip, *COMPARATORS[name]], check=False, capture_output=True, text=True)
    if installed.returncode != 0:
        print(installed.stderr.strip(), file=sys.stderr)
        raise MissingError(f"{COMPARATORS[name][0]} cannot be installed from the package index")
    made.write_text(requirements, "utf-8")
    return folder / "bin"
