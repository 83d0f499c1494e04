"""The project's folder and the home: what every command needs before it begins.

`python -m cli.home COMMAND …` runs a command with the variables of the home set.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import MutableMapping
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]

_PATHS = ("QUINTET_RAW", "QUINTET_HOME", "QUINTET_LENDING_POLICY")
_DEFAULTS = {"QUINTET_RAW": "data/raw", "QUINTET_HOME": "data"}
# The matrices here are small: threads of the BLAS would wait for one another longer than they work.
_USUAL = {"DO_NOT_TRACK": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUTF8": "1"}


class HomeError(RuntimeError):
    """The home cannot be used; the text says why and what to do."""


def enter_project(environment: MutableMapping[str, str]) -> None:
    """Go to the project's folder; paths in the settings keep their meaning, and without any it is the project's data.

    Dagster's home is in the home, wherever the command was started.
    """
    for name in _PATHS:
        if environment.get(name, "").strip():
            environment[name] = str(Path(environment[name].strip()).expanduser().absolute())
    for name, folder in _DEFAULTS.items():
        if not environment.get(name, "").strip():
            environment[name] = str(PROJECT / folder)
    for name, value in _USUAL.items():
        environment.setdefault(name, value)
    environment["DAGSTER_HOME"] = str(Path(environment["QUINTET_HOME"]).resolve() / "dagster")
    os.chdir(PROJECT)


def prepare_home(environment: MutableMapping[str, str]) -> Path:
    """Make the home with Dagster's configuration in it; the home. Raises HomeError where it cannot be written."""
    home, dagster_home = Path(environment["QUINTET_HOME"]), Path(environment["DAGSTER_HOME"])
    given, own = PROJECT / "dagster.yaml", dagster_home / "dagster.yaml"
    try:
        dagster_home.mkdir(parents=True, exist_ok=True)
        if not own.exists() or own.stat().st_mtime < given.stat().st_mtime:
            partial = own.with_name(f"dagster.yaml.{os.getpid()}")
            shutil.copyfile(given, partial)
            partial.replace(own)
        (home / "logs").mkdir(exist_ok=True)
    except OSError as error:
        raise HomeError(
            f"{error.filename or home}: {error.strerror}. Quintet writes to {home}: allow it, make room, or name "
            "another folder in QUINTET_HOME."
        ) from None
    for folder in (home, dagster_home, home / "logs"):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise HomeError(f"{folder} cannot be written. Allow it, or name another folder in QUINTET_HOME.")
    return home


if __name__ == "__main__":
    enter_project(os.environ)
    try:
        prepare_home(os.environ)
    except HomeError as error:
        sys.exit(str(error))
    os.execvp(sys.argv[1], sys.argv[1:])
