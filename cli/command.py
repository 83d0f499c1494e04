"""Run the work of a command: under the guard, in the project's folder, with a home."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from cli.faults import without_traceback
from cli.guard import guarded
from cli.home import enter_project, prepare_home
from quintet.private_files import write_for_owner_only

_SIGNALS = {129: "SIGHUP", 130: "Ctrl-C", 143: "SIGTERM"}


def run_command(work: Callable[[Path], int], stopped: str) -> None:
    """Run a command's work under the guard, in the project's folder and with a home; exit with its status.

    stopped: what to print after a signal stopped it.
    """
    write_for_owner_only()
    enter_project(os.environ)
    status = guarded(lambda: without_traceback(lambda: work(prepare_home(os.environ))), _after_death)
    if status in _SIGNALS:
        print(f"\n{_SIGNALS[status]}: {stopped}", file=sys.stderr)
    sys.exit(status)


def _after_death() -> None:
    """Clean up after a killed command: stop its embedded servers and record its run."""
    from cli.left_behind import clean_up  # noqa: PLC0415

    clean_up(Path(os.environ["QUINTET_HOME"]), Path(os.environ["DAGSTER_HOME"]))
