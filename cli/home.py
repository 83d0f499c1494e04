"""Prepare the project's folder and the home before a command begins.

`python -m cli.home COMMAND …` runs a command with the environment variables of the home set.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import MutableMapping
from pathlib import Path

from quintet.private_files import close_to_others, write_for_owner_only

PROJECT = Path(__file__).resolve().parents[1]

_PATHS = ("QUINTET_RAW", "QUINTET_HOME", "QUINTET_LENDING_POLICY")
_DEFAULTS = {"QUINTET_RAW": "data/raw", "QUINTET_HOME": "data"}
# Only a checkout has it; an installed package is read-only, and its data belong to the folder of the caller.
_IS_CHECKOUT = (PROJECT / "pyproject.toml").is_file()
# The matrices here are small: BLAS threads would wait for one another longer than they work.
_USUAL = {"DO_NOT_TRACK": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUTF8": "1"}


class HomeError(RuntimeError):
    """The home cannot be used; the text says why and what to do."""


def enter_project(environment: MutableMapping[str, str]) -> None:
    """Change to the project's folder; paths in the settings stay relative to the folder of the caller.

    The default inboxes and home are in the checkout, or in the folder of the caller of an installed package.
    Dagster's home is always inside the home; so are dbt's files of an installed package.
    """
    for name in _PATHS:
        if environment.get(name, "").strip():
            environment[name] = str(Path(environment[name].strip()).expanduser().absolute())
    for name, folder in _DEFAULTS.items():
        if not environment.get(name, "").strip():
            environment[name] = str((PROJECT if _IS_CHECKOUT else Path.cwd()) / folder)
    for name, value in _USUAL.items():
        environment.setdefault(name, value)
    home = Path(environment["QUINTET_HOME"]).resolve()
    environment["DAGSTER_HOME"] = str(home / "dagster")
    if not _IS_CHECKOUT:
        environment.setdefault("DBT_TARGET_PATH", str(home / "dbt"))
    os.chdir(PROJECT)


def prepare_home(environment: MutableMapping[str, str]) -> Path:
    """Create the home with Dagster's configuration, closed to other accounts, and return it.

    Raises HomeError if it cannot be written.
    """
    write_for_owner_only()
    home, dagster_home = Path(environment["QUINTET_HOME"]), Path(environment["DAGSTER_HOME"])
    given, own = PROJECT / "dagster.yaml", dagster_home / "dagster.yaml"
    try:
        dagster_home.mkdir(parents=True, exist_ok=True)
        if not own.exists() or own.stat().st_mtime < given.stat().st_mtime:
            partial = own.with_name(f"dagster.yaml.{os.getpid()}")
            shutil.copyfile(given, partial)
            partial.replace(own)
        (home / "logs").mkdir(exist_ok=True)
        open_ones = close_to_others(home, [Path(environment["QUINTET_RAW"])])
    except OSError as error:
        raise HomeError(
            f"{error.filename or home}: {error.strerror}. Quintet writes to {home}: grant write access, make room, "
            "or set QUINTET_HOME to another folder."
        ) from None
    for folder in (home, dagster_home, home / "logs"):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise HomeError(f"{folder} cannot be written. Grant access, or set QUINTET_HOME to another folder.")
    if open_ones:
        print(
            f"warning: {open_ones[0]} belongs to another account and is open to others; it holds keys and decisions. "
            f"Run as its owner once, or: chmod -R go-rwx {home}",
            file=sys.stderr,
        )
    return home


if __name__ == "__main__":
    enter_project(os.environ)
    try:
        prepare_home(os.environ)
    except HomeError as error:
        sys.exit(str(error))
    os.execvp(sys.argv[1], sys.argv[1:])
