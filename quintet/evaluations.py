"""Evaluations: results that depend only on the code, shipped with it and recomputed when the code changes."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from quintet.code_version import code_version

SHIPPED = Path(__file__).parent / "shipped"
"""The folder with the shipped results: `<evaluation>/<code version>/`."""


@dataclass(frozen=True)
class Evaluation:
    """An evaluation.

    modules: the modules whose code decides the result. compute: returns its frames by name.
    """

    name: str
    modules: Sequence[str]
    compute: Callable[[], Mapping[str, pd.DataFrame]]

    @property
    def code_version(self) -> str:
        """The code version of the modules that decide the result."""
        return code_version(*self.modules)


def evaluated(evaluation: Evaluation, folder: Path, shipped: Path = SHIPPED) -> dict[str, pd.DataFrame]:
    """Return the frames of an evaluation for the current code version.

    They are read from `shipped` or `folder` if the same code version has written them. Otherwise they are computed and
    written to `folder`, where they replace other versions. While one process computes them, others wait; if it is
    killed, the next one starts from scratch.
    """
    version = evaluation.code_version
    if (shipped / evaluation.name / version).is_dir():
        return _read(shipped / evaluation.name / version)
    written = folder / evaluation.name / version
    if not written.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f".{evaluation.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not written.is_dir():
                write(evaluation, folder)
    return _read(written)


def write(evaluation: Evaluation, folder: Path) -> None:
    """Compute an evaluation and write it to `folder`, replacing the results of other code versions."""
    frames, own = evaluation.compute(), folder / evaluation.name
    shutil.rmtree(own, ignore_errors=True)
    unfinished = own / "unfinished"
    unfinished.mkdir(parents=True)
    for name, frame in frames.items():
        frame.to_parquet(unfinished / f"{name}.parquet", index=False)
    unfinished.rename(own / evaluation.code_version)


def _read(folder: Path) -> dict[str, pd.DataFrame]:
    return {path.stem: pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}
