"""Make folders for the rows of a step, in the folder that this machine and the cluster both reach."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ABANDONED_AFTER_SECONDS = 2 * 86_400
"""Longer than any step: a folder may belong to a run on another machine."""


@contextmanager
def step_folder(folder: Path, name: str) -> Iterator[Path]:
    """Yield a new folder `<name>-…` in `folder`, and remove it afterwards.

    Folders that killed runs left there are removed first: their rows may be of persons.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(folder, name, time.time())
    made = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder))
    try:
        yield made
    finally:
        # workers of a step that failed may still write to it; what they leave, a later step removes
        shutil.rmtree(made, ignore_errors=True)


def _remove_abandoned(folder: Path, name: str, now: float) -> None:
    """Remove the folders `<name>-…` that are too old for a step that runs. now: Unix seconds."""
    for other in folder.glob(f"{name}-*"):
        try:
            is_abandoned = now - other.stat().st_mtime > _ABANDONED_AFTER_SECONDS
        except FileNotFoundError:  # its own run has removed it
            continue
        if is_abandoned:
            shutil.rmtree(other, ignore_errors=True)
