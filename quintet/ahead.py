"""Computing what depends on the code alone beside a full build, in a process of its own, before its steps ask for it.

Such a build leaves a processor idle: it waits for dbt, and dbt runs in one thread of Python. A step that comes first
waits for the process here; where there is none, the step computes the same itself (`quintet/kept.py`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

EVALUATION = "alert_evaluation"
PIPELINE = "conversions_pipeline"
"""Folders below that of the models."""

_FOLDERS = {"payments": EVALUATION, "conversions": PIPELINE}

_PARENT_SECONDS = 0.5


@contextmanager
def computed_ahead(models: Path, code: str, domains: Collection[str]) -> Iterator[None]:
    """Let the frames of the domains be computed beside the body; what is not finished at its end is given up.

    models: the folder of the models. code: the version of the code, as `plan.code_fingerprint` gives it. Where all
    frames are there already, no process is started.
    """
    if all((models / folder / code).is_dir() for domain, folder in _FOLDERS.items() if domain in domains):
        yield
        return
    process = subprocess.Popen(
        [sys.executable, "-m", "quintet.ahead", str(os.getpid()), str(models), code, *domains],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # the step that asks fails in the same way, and shows it
        process_group=0,  # Ctrl-C is for the run
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def main(models: Path, code: str, domains: Collection[str]) -> None:
    """Compute and keep the frames of the domains, in the order in which a build asks for them."""
    if "payments" in domains:
        from quintet.payments.alert_tables import kept_evaluation  # noqa: PLC0415

        kept_evaluation(models / EVALUATION, code)
    if "conversions" in domains:
        from quintet.conversions.pipeline_worlds import kept_changes  # noqa: PLC0415

        kept_changes(models / PIPELINE, code)


def end_with_parent(parent: int) -> None:
    """End this process once its parent has ended, however it did.

    parent: by number, as the parent gave it: one that is dead already would not be seen to end.
    """
    while os.getppid() == parent:
        time.sleep(_PARENT_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, args=(int(sys.argv[1]),), daemon=True).start()
    main(Path(sys.argv[2]), sys.argv[3], sys.argv[4:])
